"""Deleting what is older than it is kept: bit by bit, and never before its roll-ups are stored."""

from collections.abc import Mapping

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, delete, func, select

from store.reading import newest_taken_at_ms
from store.rolling_up import progress_of
from store.tables import (
    interval_histograms,
    rollup_histograms,
    rollup_periods,
    rollup_values,
    snapshots,
)
from store.tiers import TIERS

#: The tier of the snapshots themselves, in `kept_ms`.
SNAPSHOTS = "snapshots"


def forget(engine: Engine, source: str, kept_ms: Mapping[str, int | None], step_ms: int) -> bool:
    """Delete the oldest `step_ms` of what `source` need not keep; say whether there was any.

    `kept_ms` has for each tier, and for `SNAPSHOTS`, how long it is kept before the newest
    snapshot, None for ever. Each call is one short transaction. Raises SQLAlchemy's errors.
    """
    with engine.begin() as connection:
        newest_ms = newest_taken_at_ms(connection, source)
        if newest_ms is None:
            return False
        progress = progress_of(connection, source)
        for tier, kept in kept_ms.items():
            if kept is None:
                continue
            before_ms = newest_ms - kept
            if tier == SNAPSHOTS:
                # A roll-up that is to come needs them.
                before_ms = min([before_ms, *(progress.get(one.name, 0) for one in TIERS)])
            if _forget_step(connection, source, tier, before_ms, step_ms):
                return True
    return False


def give_space_back(engine: Engine, pages: int) -> None:
    """Give up to `pages` free pages of a SQLite store back; PostgreSQL does so by itself."""
    if engine.dialect.name != "sqlite":
        return
    pooled = engine.raw_connection()
    try:
        # Each row that is fetched gives one page back.
        pooled.cursor().execute(f"PRAGMA incremental_vacuum({pages:d})").fetchall()
    finally:
        pooled.close()


def _forget_step(
    connection: Connection, source: str, tier: str, before_ms: int, step_ms: int
) -> bool:
    is_raw = tier == SNAPSHOTS
    clock = snapshots if is_raw else rollup_periods if tier != "1d" else rollup_histograms
    oldest_ms = connection.scalar(
        select(func.min(_time(clock))).where(*_of(clock, source, tier), _time(clock) < before_ms)
    )
    if oldest_ms is None:
        return False
    until_ms = min(before_ms, oldest_ms + step_ms)
    raw, rolled = (
        (snapshots, interval_histograms),
        (rollup_periods, rollup_values, rollup_histograms),
    )
    for table in raw if is_raw else rolled:
        connection.execute(delete(table).where(*_of(table, source, tier), _time(table) < until_ms))
    return True


def _of(table: Table, source: str, tier: str) -> list[ColumnElement[bool]]:
    own = [table.c.source == source]
    return own if tier == SNAPSHOTS else [*own, table.c.tier == tier]


def _time(table: Table) -> Column[int]:
    time: Column[int] = table.c.taken_at if "taken_at" in table.c else table.c.starts_at
    return time
