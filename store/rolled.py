"""The rows of roll-ups: written and read as summaries and intervals."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select

from store.intervals import LatencyInterval
from store.summaries import Summary
from store.tables import interval_histograms, metrics, rollup_latency, rollup_values
from store.tiers import Tier

#: The percentiles of `rollup_latency`, by column.
PERCENTILES = {
    "p50_us": 50.0,
    "p75_us": 75.0,
    "p90_us": 90.0,
    "p95_us": 95.0,
    "p99_us": 99.0,
    "p999_us": 99.9,
}


def insert_values(
    connection: Connection, period: Mapping[str, Any], summaries: Mapping[str, Summary]
) -> None:
    """Write what the numbers were in `period`, by path."""
    numbers = _numbers_for(connection, period["source"], summaries)
    rows = [
        {
            "tier": period["tier"],
            "metric": numbers[path],
            "starts_at": period["starts_at"],
            "count": some.count,
            "min": some.min,
            "max": some.max,
            "total": some.total,
            "total_rest": some.total_rest,
            "last": some.last,
        }
        for path, some in summaries.items()
    ]
    if rows:
        connection.execute(insert(rollup_values), rows)


def summaries_of(
    connection: Connection, source: str, tier: Tier, start_ms: int, end_ms: int
) -> dict[str, list[Summary]]:
    """Return what each number was in the tier's periods from `start_ms` on, in order of time."""
    paths = {number: path for path, number in metric_numbers(connection, source).items()}
    row = rollup_values.c
    query = (
        select(row.metric, row.count, row.min, row.max, row.total, row.total_rest, row.last)
        # The key has the metric before the time: naming all of them keeps it a search.
        .where(row.tier == tier.name, row.metric.in_(sorted(paths)))
        .where(row.starts_at >= start_ms, row.starts_at < end_ms)
        .order_by(row.metric, row.starts_at)
    )
    summaries: dict[str, list[Summary]] = {}
    for number, *summary in connection.execute(query):
        summaries.setdefault(paths[number], []).append(Summary(*summary))
    return summaries


def metric_numbers(connection: Connection, source: str) -> dict[str, int]:
    """Return the number of each path that any roll-up of `source` has."""
    rows = connection.execute(
        select(metrics.c.path, metrics.c.metric).where(metrics.c.source == source)
    )
    return {row.path: row.metric for row in rows}


def _numbers_for(connection: Connection, source: str, paths: Iterable[str]) -> dict[str, int]:
    """Return the number of each path, giving one to those that have none."""
    numbers = metric_numbers(connection, source)
    new = sorted(set(paths) - numbers.keys())
    if new:
        # Where another source's daemon takes the same numbers at this moment, one of the two
        # transactions fails, and makes its period again.
        highest = connection.scalar(select(func.max(metrics.c.metric))) or 0
        for number, path in enumerate(new, start=highest + 1):
            connection.execute(insert(metrics).values(metric=number, source=source, path=path))
            numbers[path] = number
    return numbers


def insert_latency(
    connection: Connection,
    period: Mapping[str, Any],
    intervals: Mapping[str, LatencyInterval],
    *,
    with_histogram: bool,
) -> None:
    """Write the merged intervals of `period`, by class, with their percentiles."""
    rows = []
    for class_key, interval in intervals.items():
        columns = interval.columns()
        if not with_histogram:
            columns["histogram"] = None
        percentiles = interval.histogram.percentiles_us(PERCENTILES.values())
        rows.append(
            {
                **period,
                "class_key": class_key,
                **columns,
                **dict(zip(PERCENTILES, percentiles, strict=True)),
            }
        )
    if rows:
        connection.execute(insert(rollup_latency), rows)


def latency_rows(
    connection: Connection,
    source: str,
    tier: Tier | None,
    start_ms: int,
    end_ms: int,
    class_key: str | None = None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the intervals in [start_ms, end_ms) with their times: of all classes or of one.

    `tier` is one with histograms, None for the snapshots' own.
    """
    table: Table = interval_histograms if tier is None else rollup_latency
    time = table.c.taken_at if tier is None else table.c.starts_at
    query = select(table, time.label("at_ms")).where(table.c.source == source)
    query = query.where(time >= start_ms, time < end_ms)
    if tier is not None:
        query = query.where(table.c.tier == tier.name)
    if class_key is not None:
        query = query.where(table.c.class_key == class_key)
    for row in connection.execute(query).mappings():
        yield row["at_ms"], dict(row)


def merged_latency(
    connection: Connection,
    source: str,
    tier: Tier | None,
    start_ms: int,
    end_ms: int,
    class_key: str | None = None,
) -> dict[str, LatencyInterval]:
    """Return the intervals that `latency_rows` yields merged, by class."""
    merged: dict[str, LatencyInterval] = {}
    for _, row in latency_rows(connection, source, tier, start_ms, end_ms, class_key):
        merged.setdefault(row["class_key"], LatencyInterval()).merge_columns(row)
    return merged
