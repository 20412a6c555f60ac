"""What a series is: points, a step apart, over whole steps."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from store.history.asking import Period
from store.history.cover import Piece

Column = list[float | int | None]


@dataclass(frozen=True)
class Grid:
    """The points of a series: `period` is whole steps of `step_ms`."""

    period: Period
    step_ms: int

    @property
    def points(self) -> int:
        """How many there are."""
        return self.period.length_ms // self.step_ms

    def index_of(self, at_ms: int) -> int:
        """Return the number of the point that `at_ms` belongs to."""
        return (at_ms - self.period.start_ms) // self.step_ms


@dataclass(frozen=True)
class Series:
    """One number over a period, a point a step. `coverage` is the share that it is known of.

    `columns` of kind `values`: `min`, `mean`, `max`, `last`, null in a gap, and `snapshots`, how
    many of them had the number; of kind `percentile`: `value` in milliseconds, null without
    requests, and the `count` of requests and of `errors` that it stands on, null in a gap.
    """

    metric: str
    kind: Literal["values", "percentile"]
    tiers: tuple[str, ...]
    coverage: float
    columns: dict[str, Column]


@dataclass(frozen=True)
class Answer:
    """The series asked for, over `period`, which is widened to whole steps of `step_ms`."""

    period: Period
    step_ms: int
    times_ms: list[int]
    series: list[Series]


def names_of(parts: Iterable[Piece]) -> tuple[str, ...]:
    """Return the names of the tiers that `parts` are read from, each once."""
    return tuple(dict.fromkeys(part.name for part in parts))
