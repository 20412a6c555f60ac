"""Snapshots of a period in pages: which ones come next, and their documents."""

from sqlalchemy import Connection, Table, select

from store.history.asking import Period
from store.reading import snapshot_at
from store.tables import kept_snapshots, snapshots

#: Every snapshot while it is kept, and those that outlive it.
_TABLES: tuple[Table, ...] = (kept_snapshots, snapshots)


def times_of_page(
    connection: Connection, source: str, period: Period, limit: int, *, newest_first: bool
) -> list[int]:
    """Return when the first `limit` snapshots of `period` were taken (Unix ms), in that order."""
    times: set[int] = set()
    for table in _TABLES:
        time = table.c.taken_at
        query = select(time).where(
            table.c.source == source, time >= period.start_ms, time < period.end_ms
        )
        order = time.desc() if newest_first else time.asc()
        times.update(connection.scalars(query.order_by(order).limit(limit)))
    return sorted(times, reverse=newest_first)[:limit]


def documents_of(connection: Connection, source: str, times_ms: list[int]) -> dict[int, str]:
    """Return the documents of the snapshots taken at `times_ms`, as they were stored, by time.

    `times_ms` is a page. What was deleted meanwhile is left out.
    """
    if not times_ms:
        return {}
    row = snapshots.c
    recent = select(row.taken_at, row.document).where(
        row.source == source, row.taken_at >= min(times_ms), row.taken_at <= max(times_ms)
    )
    documents = {one.taken_at: one.document for one in connection.execute(recent)}
    for at_ms in times_ms:
        if at_ms not in documents:
            older = snapshot_at(connection, source, at_ms)
            if older is not None and older.taken_at_ms == at_ms:
                documents[at_ms] = older.document
    return documents
