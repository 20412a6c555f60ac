"""Asking for series: of numbers, and of percentiles, which are never averages."""

from collections.abc import Sequence

from sqlalchemy import Connection

from store.history.answers import Answer, Grid, Series
from store.history.asking import Period, QueryError
from store.history.cover import extent_of, pieces
from store.history.metrics import PercentileMetric, chosen, known_metrics
from store.history.observed import observed_in
from store.history.percentile_series import percentile_series
from store.history.steps import MOST_POINTS, MOST_POINTS_TOGETHER, step_for, whole_steps
from store.history.value_series import value_series
from store.tiers import WHOLE_TIERS

__all__ = ["MOST_POINTS", "Answer", "Series", "ask", "known_metrics"]


def ask(
    connection: Connection,
    source: str,
    metrics: Sequence[str],
    period: Period,
    step_ms: int | None,
    now_ms: int,
) -> Answer:
    """Return the series of `metrics`, in which a `*` stands for any part of a path.

    `step_ms` None is about 300 points. Raises QueryError for what cannot be answered.
    """
    extent = extent_of(connection, source)
    step_ms = step_for(extent, period, step_ms)
    grid = Grid(whole_steps(period, step_ms), step_ms)
    wanted = chosen(connection, source, metrics)
    if len(wanted) * grid.points > MOST_POINTS_TOGETHER:
        expected = f"expected at most {MOST_POINTS_TOGETHER} points in all series together"
        raise QueryError("metric", expected, "too_many_points")
    fitting = [tier for tier in WHOLE_TIERS if step_ms % tier.step_ms == 0]
    parts = list(pieces(extent, grid.period, fitting))
    known_ms = min(grid.period.end_ms, now_ms) - grid.period.start_ms
    paths = [metric for metric in wanted if isinstance(metric, str)]
    found: dict[str, Series] = {}
    if paths:
        found = value_series(connection, source, extent, parts, paths, grid, known_ms)
    percentiles = [metric for metric in wanted if isinstance(metric, PercentileMetric)]
    if percentiles:
        observed = list(observed_in(connection, source, extent, parts))
    for one in percentiles:
        found[one.path] = percentile_series(
            connection, source, extent, parts, one, grid, observed, known_ms
        )
    in_order = [found[one if isinstance(one, str) else one.path] for one in wanted]
    times_ms = list(range(grid.period.start_ms, grid.period.end_ms, grid.step_ms))
    return Answer(grid.period, grid.step_ms, times_ms, in_order)
