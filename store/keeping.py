"""Documents that outlive their snapshots, compressed: the first of each 5 minutes, then each hour.

Where the next period does not begin with a snapshot, as when that tick was missed, the last one is
kept too: it answers for the moment at which the next one begins.

The first of an hour is compressed by itself, the others with it as zlib's dictionary, for they
differ in little. It is there as long as they are: thinning leaves the first of each hour.
"""

import zlib
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection, Row, insert, select

from store.tables import kept_snapshots
from store.tiers import HOUR, Tier

_LEVEL = 9


def firsts_and_needed_lasts(times_ms: Sequence[int], tier: Tier) -> set[int]:
    """Return those of `times_ms`, in order, that answer for the moments at which periods begin."""
    known = set(times_ms)
    by_period: dict[int, list[int]] = {}
    for at_ms in times_ms:
        by_period.setdefault(tier.start_of(at_ms), []).append(at_ms)
    staying = {of_period[0] for of_period in by_period.values()}
    staying.update(
        of_period[-1]
        for start_ms, of_period in by_period.items()
        if start_ms + tier.step_ms not in known
    )
    return staying


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
    dictionary = b""
    if base is not None:
        # Damaged, it is a loss for those that stand on it already, and no reason to add to them.
        with suppress(DamagedDocumentError):
            dictionary = _inflated(base.document, b"")
    packer = zlib.compressobj(_LEVEL)
    if dictionary:
        packer = zlib.compressobj(_LEVEL, zdict=dictionary)
    row = {
        "source": source,
        "taken_at": taken_at_ms,
        "based_on": base.taken_at if base is not None and dictionary else None,
        "document": packer.compress(document.encode()) + packer.flush(),
    }
    connection.execute(insert(kept_snapshots).values(**row))


class DamagedDocumentError(ValueError):
    """A document that was kept cannot be unpacked any more."""


def unpacked(connection: Connection, source: str, row: Row[tuple[int, int | None, bytes]]) -> str:
    """Return the document of a row of `kept_snapshots`, as it was stored first.

    Raises DamagedDocumentError when it, or the one that it is based on, is not what was stored.
    """
    dictionary = b""
    if row.based_on is not None:
        kept = kept_snapshots.c
        base = connection.scalar(
            select(kept.document).where(kept.source == source, kept.taken_at == row.based_on)
        )
        dictionary = _inflated(base or b"", b"")
    try:
        return _inflated(row.document, dictionary).decode()
    except UnicodeDecodeError as error:
        msg = "a kept document is damaged"
        raise DamagedDocumentError(msg) from error


def _inflated(packed: bytes, dictionary: bytes) -> bytes:
    unpacker = zlib.decompressobj(zdict=dictionary) if dictionary else zlib.decompressobj()
    try:
        document = unpacker.decompress(packed) + unpacker.flush()
    except zlib.error as error:
        msg = "a kept document is damaged"
        raise DamagedDocumentError(msg) from error
    if not unpacker.eof:
        msg = "a kept document is cut off"
        raise DamagedDocumentError(msg)
    return document
