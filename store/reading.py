"""Reading snapshots. Every function takes an open connection and leaves nothing open.

Old ones are there as far as they are kept: the first of each 5 minutes, later of each hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select

from store.keeping import unpacked
from store.tables import kept_snapshots, snapshots, sources

#: Of a snapshot that is in both, the first is read.
_TABLES = (snapshots, kept_snapshots)


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


def newest_snapshot(connection: Connection, source: str) -> StoredSnapshot | None:
    """Return the newest snapshot of `source`, None before the first."""
    newest_ms = newest_taken_at_ms(connection, source)
    return None if newest_ms is None else snapshot_at(connection, source, newest_ms)


def snapshot_at(connection: Connection, source: str, at_ms: int) -> StoredSnapshot | None:
    """Return the newest snapshot of `source` taken at or before `at_ms`, None without one."""
    found = [
        _first(connection, table, source, table.c.taken_at <= at_ms, table.c.taken_at.desc())
        for table in _TABLES
    ]
    return _stored(connection, source, max(filter(None, found), key=_taken_at, default=None))


def snapshot_before(connection: Connection, source: str, at_ms: int) -> StoredSnapshot | None:
    """Return the newest snapshot of `source` taken before `at_ms`, None without one."""
    return snapshot_at(connection, source, at_ms - 1)


def snapshot_after(connection: Connection, source: str, at_ms: int) -> StoredSnapshot | None:
    """Return the oldest snapshot of `source` taken after `at_ms`, None without one."""
    found = [
        _first(connection, table, source, table.c.taken_at > at_ms, table.c.taken_at)
        for table in _TABLES
    ]
    return _stored(connection, source, min(filter(None, found), key=_taken_at, default=None))


def snapshot_times(
    connection: Connection, source: str, start_ms: int, end_ms: int, limit: int
) -> list[int]:
    """Return when the snapshots in [start_ms, end_ms) were taken, the oldest `limit` (Unix ms)."""
    times: set[int] = set()
    for table in _TABLES:
        time = table.c.taken_at
        query = select(time).where(table.c.source == source, time >= start_ms, time < end_ms)
        times.update(connection.scalars(query.order_by(time).limit(limit)))
    return sorted(times)[:limit]


def documents_since(connection: Connection, source: str, since_ms: int) -> Iterator[StoredSnapshot]:
    """Yield the snapshots of `source` taken after `since_ms`, oldest first; not those thinned."""
    rows = connection.execution_options(yield_per=500).execute(
        select(snapshots.c.taken_at, snapshots.c.document)
        .where(snapshots.c.source == source, snapshots.c.taken_at > since_ms)
        .order_by(snapshots.c.taken_at)
    )
    for row in rows:
        yield StoredSnapshot(row.taken_at, row.document)


def _first(
    connection: Connection, table: Table, source: str, where: ColumnElement[bool], order: Any
) -> Row[Any] | None:
    return connection.execute(
        select(table).where(table.c.source == source, where).order_by(order).limit(1)
    ).first()


def _stored(connection: Connection, source: str, row: Row[Any] | None) -> StoredSnapshot | None:
    """Return what `row` of either table holds; the other's row may be damaged."""
    if row is None:
        return None
    # Only that of a kept one is compressed.
    is_whole = isinstance(row.document, str)
    text = row.document if is_whole else unpacked(connection, source, row)
    return StoredSnapshot(row.taken_at, text)


def _taken_at(row: Row[Any]) -> int:
    taken_at_ms: int = row.taken_at
    return taken_at_ms
