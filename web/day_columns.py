"""What the numbers were in each part of a day, read from the roll-ups.

Numbers come in columns of 15 minutes, made of the roll-ups of 5. Percentiles come in columns of
30 minutes, each of all requests in it: they are never averaged. Where the roll-ups of 5 minutes are
kept no more, both come from those of an hour.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from store.rolled import metric_numbers
from store.tables import rollup_latency, rollup_periods, rollup_values
from store.tiers import FIVE_MINUTES, HALF_HOUR, HOUR, Tier
from store.times import HOUR_MS, MINUTE_MS
from web.sparkline import Point

#: Of a latency class, by their columns; the slowest request is told as exactly.
PERCENTILES: Final = {"p50": "p50_us", "p95": "p95_us", "p99": "p99_us", "max": "max_us"}
#: Leaves of a document that stand nowhere on the page as numbers of their own.
_NOT_SHOWN: Final = (".window", ".ceiling_ms", ".p95_bar", ".up")

#: A path, when a column begins (Unix ms), and what the number was in it.
Column = tuple[str, int, Point]


@dataclass(frozen=True)
class Strand:
    """A kind of columns: each is `step_ms` wide, and made of rows of `tier`.

    `read` yields those of a source between two times (Unix ms).
    """

    tier: Tier
    step_ms: int
    read: Callable[[Connection, str, "Strand", int, int], Iterator[Column]]


def is_shown(path: str) -> bool:
    """Say whether the number at `path` has a place of its own on the page."""
    return not (path.startswith("sections.") or path.endswith(_NOT_SHOWN))


def is_percentile(path: str) -> bool:
    """Say whether `path` is a duration of a latency class: of requests, not of snapshots."""
    section, _, name = path.partition(".")
    return section.startswith("latency") and name in PERCENTILES


def strands_for(
    connection: Connection, source: str, start_ms: int, end_ms: int
) -> tuple[Strand, ...]:
    """Return the finest strands that have all hours which the record has of that time."""
    hour = rollup_periods.c.starts_at // HOUR_MS
    fine, coarse = (
        connection.scalar(
            select(func.count(hour.distinct())).where(
                rollup_periods.c.source == source,
                rollup_periods.c.tier == tier.name,
                rollup_periods.c.starts_at >= start_ms,
                rollup_periods.c.starts_at < end_ms,
            )
        )
        or 0
        for tier in (FIVE_MINUTES, HOUR)
    )
    return COARSE if coarse > fine else FINE


def _numbers(
    connection: Connection, source: str, strand: Strand, start_ms: int, end_ms: int
) -> Iterator[Column]:
    paths = {
        number: path
        for path, number in metric_numbers(connection, source).items()
        if is_shown(path)
    }
    row = rollup_values.c
    column = row.starts_at // strand.step_ms
    mean = func.sum(row.total) / func.sum(row.count)
    query = (
        select(row.metric, column, func.min(row.min), mean, func.max(row.max))
        # The key has the metric before the time: naming all of them keeps it a search.
        .where(row.tier == strand.tier.name, row.metric.in_(sorted(paths)))
        .where(row.starts_at >= start_ms, row.starts_at < end_ms)
        .group_by(row.metric, column)
    )
    for number, at, low, value, high in connection.execute(query):
        # The mean of what is all the same can be rounded beside it.
        point = Point(low, min(max(value, low), high), high)
        yield paths[number], at * strand.step_ms, point


def _percentiles(
    connection: Connection, source: str, strand: Strand, start_ms: int, end_ms: int
) -> Iterator[Column]:
    row = rollup_latency.c
    columns = [row[column] for column in PERCENTILES.values()]
    query = select(row.class_key, row.starts_at, *columns).where(
        row.source == source,
        row.tier == strand.tier.name,
        row.starts_at >= start_ms,
        row.starts_at < end_ms,
    )
    for key, at_ms, *durations_us in connection.execute(query):
        for name, us in zip(PERCENTILES, durations_us, strict=True):
            if us is not None:
                yield f"{key}.{name}", at_ms, Point(us / 1000, us / 1000, us / 1000)


FINE: Final = (
    Strand(FIVE_MINUTES, 15 * MINUTE_MS, _numbers),
    Strand(HALF_HOUR, HALF_HOUR.step_ms, _percentiles),
)
COARSE: Final = (
    Strand(HOUR, HOUR_MS, _numbers),
    Strand(HOUR, HOUR_MS, _percentiles),
)
