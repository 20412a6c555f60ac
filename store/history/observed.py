"""How much of a period was observed: each snapshot stands for the interval that it was taken at."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sqlalchemy import Connection, select

from store.history.cover import Extent, Piece
from store.tables import rollup_periods, snapshots
from store.tiers import Tier


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
            for taken_at_ms in connection.scalars(taken.order_by(snapshots.c.taken_at)):
                yield Observed(None, taken_at_ms, 1, extent.interval_ms)
            continue
        row = rollup_periods.c
        made = select(row.starts_at, row.snapshots, row.expected).where(
            row.source == source,
            row.tier == piece.tier.name,
            row.starts_at >= piece.start_ms,
            row.starts_at < piece.end_ms,
        )
        for starts_at_ms, count, expected in connection.execute(made.order_by(row.starts_at)):
            # One taken besides, as at a start, makes the others stand for less.
            parts = count if count > math.ceil(expected) else expected
            ms_each = piece.tier.step_ms / parts
            yield Observed(piece.tier, starts_at_ms, count, ms_each)


def share(observed_ms: float, length_ms: int) -> float:
    """Return what share of a period was observed, to six digits, 1 at most."""
    return round(min(observed_ms / length_ms, 1.0), 6) if length_ms > 0 else 0.0
