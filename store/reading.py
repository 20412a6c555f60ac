"""Reading snapshots. Every function takes an open connection and leaves nothing open."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, select

from store.tables import snapshots, sources


@dataclass(frozen=True)
class StoredSnapshot:
    """A document as it was stored, and when it was taken (Unix milliseconds)."""

    taken_at_ms: int
    document: str


def newest_taken_at_ms(connection: Connection, source: str) -> int | None:
    """Return when the newest snapshot of `source` was taken, None before the first."""
    newest_ms: int | None = connection.scalar(
        select(sources.c.newest_taken_at).where(sources.c.source == source)
    )
    return newest_ms


def snapshot_at(connection: Connection, source: str, at_ms: int) -> StoredSnapshot | None:
    """Return the newest snapshot of `source` taken at or before `at_ms`, None without one."""
    row = connection.execute(
        select(snapshots.c.taken_at, snapshots.c.document)
        .where(snapshots.c.source == source, snapshots.c.taken_at <= at_ms)
        .order_by(snapshots.c.taken_at.desc())
        .limit(1)
    ).first()
    return None if row is None else StoredSnapshot(row.taken_at, row.document)


def documents_since(connection: Connection, source: str, since_ms: int) -> Iterator[StoredSnapshot]:
    """Yield the snapshots of `source` taken after `since_ms`, oldest first."""
    rows = connection.execution_options(yield_per=500).execute(
        select(snapshots.c.taken_at, snapshots.c.document)
        .where(snapshots.c.source == source, snapshots.c.taken_at > since_ms)
        .order_by(snapshots.c.taken_at)
    )
    for row in rows:
        yield StoredSnapshot(row.taken_at, row.document)
