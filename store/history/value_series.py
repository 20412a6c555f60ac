"""Series of numbers: the smallest, the mean, the largest and the last of each step."""

from collections.abc import Sequence

from sqlalchemy import Connection

from store.history.answers import Column, Grid, Series, names_of
from store.history.cover import Extent, Piece
from store.history.observed import share
from store.history.values import Value, values_in
from store.summaries import Summary


def value_series(
    connection: Connection,
    source: str,
    extent: Extent,
    parts: Sequence[Piece],
    paths: Sequence[str],
    grid: Grid,
    known_ms: int,
) -> dict[str, Series]:
    """Return a series of each of `paths`, by path. `parts` are of tiers that fit in the step.

    `known_ms` is how long the period is as far as it is past.
    """
    found: dict[str, list[Value]] = {path: [] for path in paths}
    for value in values_in(connection, source, extent, parts, paths):
        found[value.path].append(value)
    tiers = names_of(parts)
    return {
        path: Series(
            path,
            "values",
            tiers,
            share(sum(one.summary.count * one.ms_each for one in values), known_ms),
            _columns(values, grid),
        )
        for path, values in found.items()
    }


def _columns(values: Sequence[Value], grid: Grid) -> dict[str, Column]:
    steps: list[list[Summary]] = [[] for _ in range(grid.points)]
    for value in values:
        steps[grid.index_of(value.at_ms)].append(value.summary)
    whole = [Summary.merged(step) if step else None for step in steps]
    return {
        "min": [step.min if step else None for step in whole],
        "mean": [step.mean if step else None for step in whole],
        "max": [step.max if step else None for step in whole],
        "last": [step.last if step else None for step in whole],
        "snapshots": [step.count if step else 0 for step in whole],
    }
