"""Copying a part's rows from a store of its own into the whole one."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select

from store.engines import open_writer
from store.tables import (
    interval_histograms,
    kept_snapshots,
    metrics,
    rollup_latency,
    rollup_periods,
    rollup_values,
    snapshots,
    status_changes,
)

_ROWS = 5000

Row = dict[str, Any]


def copy_part(url: str, engine: Engine, source: str, after_ms: int | None, next_ms: int) -> None:
    """Copy `source` from the store at `url` to that of `engine`, in one transaction.

    The next part's first snapshot was taken at `next_ms` (Unix ms). It is in both stores, and what
    changed with it is known to this part alone; so of this part's own changes those are taken that
    came after `after_ms`, when its first snapshot was; None: there is no part before.
    """
    part = open_writer(url)
    try:
        with part.connect() as old, engine.begin() as new:
            for table in (rollup_periods, rollup_latency, kept_snapshots):
                _copy(old, new, table)
            for table in (snapshots, interval_histograms):
                _copy(old, new, table, lambda row: row if row["taken_at"] < next_ms else None)
            at_next = [status_changes.c.source == source, status_changes.c.taken_at == next_ms]
            new.execute(delete(status_changes).where(*at_next))
            since_ms = -1 if after_ms is None else after_ms
            _copy(old, new, status_changes, lambda row: row if row["taken_at"] > since_ms else None)
            numbers = _numbers(old, new, source)
            _copy(old, new, rollup_values, lambda row: {**row, "metric": numbers[row["metric"]]})
    finally:
        part.dispose()


def _copy(
    old: Connection,
    new: Connection,
    table: Table,
    change: Callable[[Row], Row | None] = lambda row: row,
) -> None:
    """Copy the rows of `table` that `change` leaves, as it leaves them."""
    rows = old.execution_options(yield_per=_ROWS).execute(select(table)).mappings()
    changed: Iterator[Row] = (one for one in (change(dict(row)) for row in rows) if one is not None)
    while batch := list(islice(changed, _ROWS)):
        new.execute(insert(table), batch)


def _numbers(old: Connection, new: Connection, source: str) -> dict[int, int]:
    """Return the whole store's number of each of the part's metrics, by the part's."""
    own = select(metrics.c.path, metrics.c.metric).where(metrics.c.source == source)
    known = {row.path: row.metric for row in new.execute(own)}
    highest = new.scalar(select(func.max(metrics.c.metric))) or 0
    numbers = {}
    for row in old.execute(own.order_by(metrics.c.metric)):
        if row.path not in known:
            highest += 1
            known[row.path] = highest
            new.execute(insert(metrics).values(source=source, metric=highest, path=row.path))
        numbers[row.metric] = known[row.path]
    return numbers
