"""How much of a period was observed: each snapshot stands for the interval that it was taken at."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from store.history.asking import Period
from store.history.cover import Extent, Piece
from store.tables import rollup_periods, snapshots
from store.tiers import FIVE_MINUTES, Tier

_DIGITS, _LEAST = 6, 1e-6
_ROUNDING = 1e-10


class Observed(NamedTuple):
    """A period of a tier, or a snapshot: how many snapshots, and what each stands for (ms)."""

    tier: Tier | None
    starts_at_ms: int
    snapshots: int
    ms_each: float


def observed_in(
    connection: Connection, source: str, extent: Extent, pieces: Iterable[Piece]
) -> Iterator[Observed]:
    """Yield what was observed in `pieces`, in order of time."""
    for piece in pieces:
        if piece.tier is None:
            taken = select(snapshots.c.taken_at).where(
                snapshots.c.source == source,
                snapshots.c.taken_at >= piece.start_ms,
                snapshots.c.taken_at < piece.end_ms,
            )
            # The interval can have been another one; since the newest roll-up it is the present.
            around = Period(FIVE_MINUTES.start_of(piece.start_ms), piece.end_ms)
            made = _periods(connection, source, FIVE_MINUTES, around)
            each = {one.starts_at_ms: one.ms_each for one in made}
            for at_ms in connection.scalars(taken.order_by(snapshots.c.taken_at)):
                ms_each = each.get(FIVE_MINUTES.start_of(at_ms), extent.interval_ms)
                yield Observed(None, at_ms, 1, ms_each)
            continue
        yield from _periods(connection, source, piece.tier, Period(piece.start_ms, piece.end_ms))


def _periods(connection: Connection, source: str, tier: Tier, period: Period) -> Iterator[Observed]:
    row = rollup_periods.c
    made = select(row.starts_at, row.snapshots, row.expected).where(
        row.source == source,
        row.tier == tier.name,
        row.starts_at >= period.start_ms,
        row.starts_at < period.end_ms,
    )
    for starts_at_ms, count, expected in connection.execute(made.order_by(row.starts_at)):
        # More than were due, as when the interval was changed, stand for less each.
        parts = count if count > math.ceil(expected) else expected
        yield Observed(tier, starts_at_ms, count, tier.step_ms / parts)


def share(observed_ms: float, length_ms: int) -> float:
    """Return what share of a period was observed, to six digits, 1 at most.

    1 is all of it and 0 nothing: what is nearly so is the millionth beside it.
    """
    if length_ms <= 0 or observed_ms <= 0:
        return 0.0
    part = observed_ms / length_ms
    # Of sums of many parts the last bits are rounding.
    if part > 1 - _ROUNDING:
        return 1.0
    return min(max(round(part, _DIGITS), _LEAST), 1 - _LEAST)
