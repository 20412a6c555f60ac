"""Series of percentiles: of all requests of each step, from their merged histograms.

At the steps of a chart the percentiles are stored with the roll-ups; what is younger than these,
and every other step, is merged here.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from store.history.answers import Column, Grid, Series, names_of
from store.history.asking import Period
from store.history.cover import Extent, Piece
from store.history.metrics import PercentileMetric
from store.history.observed import Observed, share
from store.intervals import LatencyInterval
from store.rolled import PERCENTILES, latency_rows
from store.tables import rollup_latency
from store.tiers import TIERS, Tier

#: In microseconds: the value, and the requests and errors that it stands on.
_Point = tuple[int | None, int, int]


def percentile_series(
    connection: Connection,
    source: str,
    extent: Extent,
    parts: Sequence[Piece],
    metric: PercentileMetric,
    grid: Grid,
    observed: Iterable[Observed],
    known_ms: int,
) -> Series:
    """Return the series of `metric`. `parts` are of tiers that fit in the step.

    `observed` is of the same parts, and `known_ms` how long the period is as far as it is past.
    """
    tier = next((one for one in TIERS if one.step_ms == grid.step_ms), None)
    until_ms = extent.made_until.get(tier.name, 0) if tier else 0
    until_ms = max(grid.period.start_ms, min(until_ms, grid.period.end_ms))
    points: dict[int, _Point] = {}
    if tier is not None and until_ms > grid.period.start_ms:
        points = _stored(connection, source, tier, metric, grid, until_ms)
    stored = [Piece(tier, grid.period.start_ms, until_ms)] if points else []
    younger = [
        Piece(part.tier, max(part.start_ms, until_ms), part.end_ms)
        for part in parts
        if part.end_ms > until_ms
    ]
    merged, recorded = _merged(connection, source, younger, metric, grid)
    points.update(merged)
    covered_ms = sum(
        one.snapshots * one.ms_each
        for one in observed
        if (
            one.starts_at_ms in recorded
            if one.starts_at_ms >= until_ms
            else grid.index_of(one.starts_at_ms) in points
        )
    )
    indexes = range(grid.points)
    columns: dict[str, Column] = {
        "value": [_milliseconds(points[at][0]) if at in points else None for at in indexes],
        "count": [points[at][1] if at in points else None for at in indexes],
        "errors": [points[at][2] if at in points else None for at in indexes],
    }
    coverage = share(covered_ms, known_ms)
    return Series(metric.path, "percentile", names_of([*stored, *younger]), coverage, columns)


def _stored(
    connection: Connection,
    source: str,
    tier: Tier,
    metric: PercentileMetric,
    grid: Grid,
    until_ms: int,
) -> dict[int, _Point]:
    """Return the points that the roll-ups of `tier` have, which has the grid's step."""
    row = rollup_latency.c
    found = connection.execute(
        select(row.starts_at, rollup_latency.c[metric.column], row.count, row.errors)
        .where(row.source == source, row.tier == tier.name, row.class_key == metric.class_key)
        .where(row.starts_at >= grid.period.start_ms, row.starts_at < until_ms)
    )
    return {grid.index_of(at): (us, count, errors) for at, us, count, errors in found}


def _merged(
    connection: Connection,
    source: str,
    parts: Iterable[Piece],
    metric: PercentileMetric,
    grid: Grid,
) -> tuple[dict[int, _Point], set[int]]:
    """Return the points that `parts` make, and the times (Unix ms) of the rows that they have."""
    recorded = set()
    steps: dict[int, LatencyInterval] = {}
    for part in parts:
        period = Period(part.start_ms, part.end_ms)
        rows = latency_rows(
            connection, source, part.tier, period.start_ms, period.end_ms, metric.class_key
        )
        for at_ms, row in rows:
            steps.setdefault(grid.index_of(at_ms), LatencyInterval()).merge_columns(row)
            recorded.add(at_ms)
    points = {
        at: (_value_us(step, metric), step.histogram.count, step.histogram.errors)
        for at, step in steps.items()
    }
    return points, recorded


def _value_us(interval: LatencyInterval, metric: PercentileMetric) -> int | None:
    if metric.column == "max_us":
        return interval.histogram.max_us
    return interval.histogram.percentiles_us([PERCENTILES[metric.column]])[0]


def _milliseconds(us: int | None) -> float | None:
    return None if us is None else us / 1000
