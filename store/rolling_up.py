"""Making roll-ups: complete periods alone, one transaction a period, each once.

A period is complete when a snapshot was taken at or after its end, for snapshots come in order. How
far a tier has been made is moved in the period's own transaction, so a roll-up that was interrupted
is simply made again.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, update

from store.codec import decode
from store.intervals import LatencyInterval
from store.leaves import numeric_leaves
from store.reading import newest_taken_at_ms
from store.tables import (
    interval_histograms,
    metrics,
    rollup_histograms,
    rollup_periods,
    rollup_progress,
    rollup_values,
    snapshots,
)
from store.tiers import DAY, FIVE_MINUTES, HOUR, TIERS, Tier

#: Of which tier's rows a tier's histograms are merged; None: of the snapshots' own.
_HISTOGRAMS_OF: dict[Tier, Tier | None] = {FIVE_MINUTES: None, HOUR: FIVE_MINUTES, DAY: HOUR}


@dataclass
class Summary:
    """What a number was in a period: `total` is the sum, exact and rounded once."""

    count: int
    min: float
    max: float
    total: float
    last: float

    @classmethod
    def of(cls, values: list[float]) -> "Summary":
        """Return the summary of `values`, which are in order of time and not empty."""
        return cls(len(values), min(values), max(values), math.fsum(values), values[-1])


def roll_up(engine: Engine, source: str, most_periods: int) -> int:
    """Make up to `most_periods` periods that are complete and not made yet; return how many.

    Raises SQLAlchemy's errors; what was made until then stays.
    """
    made = 0
    for tier in TIERS:
        while made < most_periods:
            with engine.begin() as connection:
                if not _make_next(connection, source, tier):
                    break
            made += 1
    return made


def progress_of(connection: Connection, source: str) -> dict[str, int]:
    """Return until when each tier has been made (Unix ms), by its name."""
    rows = connection.execute(
        select(rollup_progress.c.tier, rollup_progress.c.until).where(
            rollup_progress.c.source == source
        )
    )
    return {row.tier: row.until for row in rows}


def _make_next(connection: Connection, source: str, tier: Tier) -> bool:
    """Make the tier's next period that has a snapshot; say whether there was one."""
    newest_ms = newest_taken_at_ms(connection, source)
    first_ms = _first_left(connection, source, tier)
    if newest_ms is None or first_ms is None:
        return False
    starts_at_ms = tier.start_of(first_ms)
    ends_at_ms = starts_at_ms + tier.step_ms
    finer = _HISTOGRAMS_OF[tier]
    if ends_at_ms > newest_ms:
        return False
    if finer and (_first_left(connection, source, finer) or newest_ms) < ends_at_ms:
        return False
    period = {"source": source, "tier": tier.name, "starts_at": starts_at_ms}
    if tier is not DAY:
        _make_values(connection, period, starts_at_ms, ends_at_ms)
    _make_histograms(connection, period, finer, starts_at_ms, ends_at_ms)
    _move_progress(connection, source, tier, ends_at_ms)
    return True


def _first_left(connection: Connection, source: str, tier: Tier) -> int | None:
    """Return when the first snapshot was taken that is not rolled up in `tier` (Unix ms)."""
    until_ms = progress_of(connection, source).get(tier.name, 0)
    first_ms: int | None = connection.scalar(
        select(func.min(snapshots.c.taken_at)).where(
            snapshots.c.source == source, snapshots.c.taken_at >= until_ms
        )
    )
    return first_ms


def _make_values(
    connection: Connection, period: dict[str, Any], starts_at_ms: int, ends_at_ms: int
) -> None:
    taken = connection.execute(
        select(snapshots.c.document)
        .where(
            snapshots.c.source == period["source"],
            snapshots.c.taken_at >= starts_at_ms,
            snapshots.c.taken_at < ends_at_ms,
        )
        .order_by(snapshots.c.taken_at)
    ).scalars()
    values: dict[str, list[float]] = {}
    count, interval_s = 0, 0
    for text in taken:
        document = decode(text)
        count, interval_s = count + 1, document["interval_s"]
        for path, value in numeric_leaves(document).items():
            values.setdefault(path, []).append(value)
    expected = (ends_at_ms - starts_at_ms) // (interval_s * 1000)
    connection.execute(
        insert(rollup_periods).values(**period, snapshots=count, expected=max(expected, count))
    )
    numbers = _metric_numbers(connection, period["source"], values)
    rows = [
        {**period, "metric": numbers[path], **vars(Summary.of(some))}
        for path, some in values.items()
    ]
    if rows:
        connection.execute(insert(rollup_values), rows)


def _metric_numbers(connection: Connection, source: str, paths: Iterable[str]) -> dict[str, int]:
    """Return the number of each path, giving one to those that have none."""
    rows = connection.execute(
        select(metrics.c.path, metrics.c.metric).where(metrics.c.source == source)
    )
    numbers = {row.path: row.metric for row in rows}
    for path in sorted(set(paths) - numbers.keys()):
        number = len(numbers) + 1
        connection.execute(insert(metrics).values(source=source, metric=number, path=path))
        numbers[path] = number
    return numbers


def _make_histograms(
    connection: Connection,
    period: dict[str, Any],
    finer: Tier | None,
    starts_at_ms: int,
    ends_at_ms: int,
) -> None:
    merged: dict[str, LatencyInterval] = {}
    for key, interval in _parts(connection, period["source"], finer, starts_at_ms, ends_at_ms):
        merged.setdefault(key, LatencyInterval()).merge(interval)
    for key, interval in merged.items():
        connection.execute(
            insert(rollup_histograms).values(**period, class_key=key, **interval.columns())
        )


def _parts(
    connection: Connection, source: str, finer: Tier | None, starts_at_ms: int, ends_at_ms: int
) -> Iterator[tuple[str, LatencyInterval]]:
    table: Table = interval_histograms if finer is None else rollup_histograms
    at = table.c.taken_at if finer is None else table.c.starts_at
    query = select(table).where(table.c.source == source, at >= starts_at_ms, at < ends_at_ms)
    if finer is not None:
        query = query.where(table.c.tier == finer.name)
    for row in connection.execute(query).mappings():
        yield row["class_key"], LatencyInterval.of_columns(dict(row))


def _move_progress(connection: Connection, source: str, tier: Tier, until_ms: int) -> None:
    moved = connection.execute(
        update(rollup_progress)
        .where(rollup_progress.c.source == source, rollup_progress.c.tier == tier.name)
        .values(until=until_ms)
    )
    if not moved.rowcount:
        row = {"source": source, "tier": tier.name, "until": until_ms}
        connection.execute(insert(rollup_progress).values(**row))
