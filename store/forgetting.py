"""Deleting what is older than it is kept: bit by bit, and never before its roll-ups are stored."""

from collections.abc import Mapping

from sqlalchemy import Column, ColumnElement, Connection, Engine, Table, delete, func, select

from store.forgetting_changes import forget_changes
from store.keeping import firsts_and_needed_lasts
from store.reading import newest_taken_at_ms
from store.rolled import metric_numbers
from store.rolling_up import progress_of
from store.tables import (
    interval_histograms,
    kept_snapshots,
    rollup_latency,
    rollup_periods,
    rollup_values,
    snapshots,
)
from store.tiers import DAY, FIVE_MINUTES, HALF_HOUR, HOUR, SIX_HOURS, TIERS, TWO_HOURS, Tier
from store.times import HOUR_MS

#: The tier of the snapshots themselves, in `kept_ms`.
SNAPSHOTS = "snapshots"
#: Of a list in a statement.
_MOST_AT_ONCE = 500
#: Tiers that go with another one.
_WITH = {FIVE_MINUTES.name: (FIVE_MINUTES, HALF_HOUR), HOUR.name: (HOUR, TWO_HOURS, SIX_HOURS)}


def forget(
    engine: Engine,
    source: str,
    kept_ms: Mapping[str, int | None],
    step_ms: int,
    now_ms: int | None = None,
) -> bool:
    """Delete the oldest `step_ms` of what `source` need not keep; say whether there was any.

    `kept_ms` has for `SNAPSHOTS`, "5m", "1h" and "1d" how long it is kept before the newest
    snapshot, None for ever; before `now_ms`, when that is earlier, for a clock that was wrong once
    must not make everything old. Whole hours are deleted, and longer periods whole, in one short
    transaction a call. Raises SQLAlchemy's errors.
    """
    with engine.begin() as connection:
        newest_ms = newest_taken_at_ms(connection, source)
        if newest_ms is None:
            return False
        present_ms = newest_ms if now_ms is None else min(newest_ms, now_ms)
        return any(
            forget_before(connection, source, name, present_ms - kept, step_ms)
            for name, kept in kept_ms.items()
            if kept is not None
        )


def forget_before(
    connection: Connection, source: str, name: str, before_ms: int, step_ms: int
) -> bool:
    """Delete the oldest `step_ms` of the tier `name` before `before_ms`; say whether any was there.

    What a roll-up that is to come needs stays.
    """
    if name == SNAPSHOTS:
        span = _oldest_step(connection, source, None, before_ms, step_ms)
        if span is None:
            return False
        for table in (snapshots, interval_histograms):
            own = [table.c.source == source, table.c.taken_at < span[1]]
            connection.execute(delete(table).where(*own))
        return True
    for tier in (one for one in TIERS if one in _WITH.get(name, (DAY,))):
        span = _oldest_step(connection, source, tier, before_ms, step_ms)
        if span is not None:
            _delete_periods(connection, source, tier, span[1])
            if tier is FIVE_MINUTES:
                _thin_kept_snapshots(connection, source, *span)
            if tier is HOUR:
                _delete_with_hours(connection, source, span[1])
            return True
    return False


def give_space_back(engine: Engine, pages: int) -> None:
    """Give up to `pages` free pages of a SQLite store back; PostgreSQL does so by itself."""
    if engine.dialect.name != "sqlite":
        return
    pooled = engine.raw_connection()
    try:
        # Not `execute`: that takes one step of the statement, and each step gives one page back.
        pooled.cursor().executescript(f"PRAGMA incremental_vacuum({pages:d})")
    finally:
        pooled.close()


def _oldest_step(
    connection: Connection, source: str, tier: Tier | None, before_ms: int, step_ms: int
) -> tuple[int, int] | None:
    """Return from when until when to delete (Unix ms), None when there is nothing to delete."""
    clock: Table = snapshots
    time: Column[int] = snapshots.c.taken_at
    own: list[ColumnElement[bool]] = [snapshots.c.source == source]
    if tier is not None:
        clock = rollup_periods if tier.has_values else rollup_latency
        time = clock.c.starts_at
        own = [clock.c.source == source, clock.c.tier == tier.name]
    progress = progress_of(connection, source)
    needed = [progress.get(one.name, 0) for one in TIERS if one.made_of is tier]
    # A period that is longer than an hour stays as long as what it is made of does.
    whole = HOUR if tier is None or tier.step_ms < HOUR_MS else tier
    before_ms = whole.start_of(min([before_ms, *needed]))
    oldest_ms = connection.scalar(select(func.min(time)).where(*own, time < before_ms))
    if oldest_ms is None:
        return None
    return oldest_ms, min(before_ms, HOUR.start_of(oldest_ms) + step_ms)


def _delete_periods(connection: Connection, source: str, tier: Tier, until_ms: int) -> None:
    if tier.has_values:
        # The key has the metric before the time: naming all of them keeps it a search.
        numbers = sorted(metric_numbers(connection, source).values())
        connection.execute(
            delete(rollup_values).where(
                rollup_values.c.tier == tier.name,
                rollup_values.c.metric.in_(numbers),
                rollup_values.c.starts_at < until_ms,
            )
        )
    for table in (rollup_periods, rollup_latency):
        connection.execute(
            delete(table).where(
                table.c.source == source,
                table.c.tier == tier.name,
                table.c.starts_at < until_ms,
            )
        )


def _thin_kept_snapshots(
    connection: Connection, source: str, oldest_ms: int, until_ms: int
) -> None:
    """Keep what answers for each hour; what is before `oldest_ms` was thinned with its periods."""
    kept = kept_snapshots.c
    start_ms = HOUR.start_of(oldest_ms)
    times = list(
        connection.scalars(
            select(kept.taken_at)
            .where(kept.source == source, kept.taken_at >= start_ms, kept.taken_at <= until_ms)
            .order_by(kept.taken_at)
        )
    )
    staying = firsts_and_needed_lasts(times, HOUR)
    needless = [at_ms for at_ms in times if at_ms < until_ms and at_ms not in staying]
    for at in range(0, len(needless), _MOST_AT_ONCE):
        some = needless[at : at + _MOST_AT_ONCE]
        connection.execute(
            delete(kept_snapshots).where(kept.source == source, kept.taken_at.in_(some))
        )


def _delete_with_hours(connection: Connection, source: str, until_ms: int) -> None:
    kept = kept_snapshots.c
    connection.execute(
        delete(kept_snapshots).where(kept.source == source, kept.taken_at < until_ms)
    )
    forget_changes(connection, source, until_ms)
