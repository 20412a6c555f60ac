"""Documents that outlive their snapshots, compressed: the first of each 5 minutes, then each hour.

The first of an hour is compressed by itself, the others with it as zlib's dictionary, for they
differ in little. It is there as long as they are: thinning leaves the first of each hour.
"""

import zlib

from sqlalchemy import Connection, Row, insert, select

from store.tables import kept_snapshots
from store.tiers import HOUR

_LEVEL = 9


def keep(connection: Connection, source: str, taken_at_ms: int, document: str) -> None:
    """Store `document`; those of an hour have to come in order of time."""
    kept = kept_snapshots.c
    base = connection.execute(
        select(kept.taken_at, kept.document)
        .where(kept.source == source)
        .where(kept.taken_at >= HOUR.start_of(taken_at_ms), kept.taken_at < taken_at_ms)
        .order_by(kept.taken_at)
        .limit(1)
    ).first()
    packer = zlib.compressobj(_LEVEL)
    if base is not None:
        packer = zlib.compressobj(_LEVEL, zdict=zlib.decompress(base.document))
    row = {
        "source": source,
        "taken_at": taken_at_ms,
        "based_on": None if base is None else base.taken_at,
        "document": packer.compress(document.encode()) + packer.flush(),
    }
    connection.execute(insert(kept_snapshots).values(**row))


def unpacked(connection: Connection, source: str, row: Row[tuple[int, int | None, bytes]]) -> str:
    """Return the document of a row of `kept_snapshots`, as it was stored first."""
    unpacker = zlib.decompressobj()
    if row.based_on is not None:
        kept = kept_snapshots.c
        base = connection.execute(
            select(kept.document).where(kept.source == source, kept.taken_at == row.based_on)
        ).scalar_one()
        unpacker = zlib.decompressobj(zdict=zlib.decompress(base))
    return (unpacker.decompress(row.document) + unpacker.flush()).decode()
