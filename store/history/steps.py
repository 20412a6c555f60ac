"""The step of a series: chosen for about 300 points, or checked against what is stored."""

from store.history.asking import Period, QueryError
from store.history.cover import Extent
from store.tiers import Tier
from store.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

#: More points than this are refused.
MOST_POINTS = 5000
#: And more than this in all series of one question.
MOST_POINTS_TOGETHER = 100_000
#: A step is the finest of these with at most so many points.
_MOST_POINTS_OF_AUTO = 400
_LADDER_MS = (
    *(n * SECOND_MS for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE_MS for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR_MS for n in (1, 2, 6, 12)),
    *(n * DAY_MS for n in (1, 2, 7, 14, 28, 56, 112, 224, 448)),
)


def step_for(extent: Extent, period: Period, asked_ms: int | None) -> int:
    """Return the step in milliseconds. Raises QueryError when `asked_ms` cannot be answered.

    A step is at least the interval of the snapshots, and where only roll-ups are left it is a
    multiple of their step.
    """
    if asked_ms is None:
        return next(
            (
                step_ms
                for step_ms in _LADDER_MS
                if step_ms >= extent.interval_ms
                and points_of(period, step_ms) <= _MOST_POINTS_OF_AUTO
                and _coarser_stored(extent, period, step_ms) is None
            ),
            _LADDER_MS[-1],
        )
    if asked_ms < extent.interval_ms:
        least_s = extent.interval_ms / 1000
        raise QueryError("step", f"a snapshot is taken every {least_s:g} s", "too_fine")
    if (stored := _coarser_stored(extent, period, asked_ms)) is not None:
        expected = f"of a time so long ago only multiples of {stored.name} are stored"
        raise QueryError("step", expected, "too_fine")
    points = points_of(period, asked_ms)
    if points > MOST_POINTS:
        least_ms = next(
            step_ms
            for step_ms in _LADDER_MS
            if step_ms >= extent.interval_ms
            and points_of(period, step_ms) <= MOST_POINTS
            and _coarser_stored(extent, period, step_ms) is None
        )
        expected = (
            f"that are {points} points, more than {MOST_POINTS}; "
            f"expected a step of {least_ms // 1000} s or more, or auto"
        )
        raise QueryError("step", expected, "too_many_points")
    return asked_ms


def whole_steps(period: Period, step_ms: int) -> Period:
    """Return `period` widened to multiples of `step_ms` from the Unix epoch."""
    return Period(period.start_ms // step_ms * step_ms, -(-period.end_ms // step_ms) * step_ms)


def points_of(period: Period, step_ms: int) -> int:
    """Return how many steps `period` touches."""
    return whole_steps(period, step_ms).length_ms // step_ms


def _coarser_stored(extent: Extent, period: Period, step_ms: int) -> Tier | None:
    """Return the tier that is too coarse for the first step, None when all steps can be read."""
    stored = extent.finest_at(whole_steps(period, step_ms).start_ms)
    return stored if stored is not None and step_ms % stored.step_ms else None
