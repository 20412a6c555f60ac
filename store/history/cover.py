"""How a period is put together from the tiers: the coarsest rows that fit in it, finer at its ends.

What is stored of each tier begins where deleting has come to and ends where making has come to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from store.codec import decode
from store.history.asking import Period
from store.reading import newest_snapshot
from store.rolling_up import progress_of
from store.tables import rollup_periods, snapshots
from store.tiers import FIVE_MINUTES, HOUR, WHOLE_TIERS, Tier

#: A source without snapshots is asked about as if they came so often.
_NO_INTERVAL_MS = 30_000


@dataclass(frozen=True)
class Piece:
    """A part of a period and the tier to read it from; None: the snapshots themselves."""

    tier: Tier | None
    start_ms: int
    end_ms: int

    @property
    def name(self) -> str:
        """The tier's name, as answers tell it."""
        return "snapshots" if self.tier is None else self.tier.name


@dataclass(frozen=True)
class Extent:
    """What is stored of a source. Times in Unix ms.

    `made_until` has the tiers by name; `snapshots_from` and `fine_from` are when the oldest
    snapshot was taken and when the oldest 5 minutes began, None when there are none.
    """

    newest_ms: int | None
    interval_ms: int
    snapshots_from: int | None
    fine_from: int | None
    made_until: dict[str, int]

    def finest_at(self, at_ms: int) -> Tier | None:
        """Return the finest tier that reaches back to `at_ms`, None for the snapshots."""
        if self.snapshots_from is not None and at_ms >= self.snapshots_from:
            return None
        if self.fine_from is not None and at_ms >= self.fine_from:
            return FIVE_MINUTES
        return HOUR

    def widened(self, period: Period) -> Period:
        """Return `period` from and to boundaries of what is still stored of its ends' times."""
        start = self.finest_at(period.start_ms)
        end = self.finest_at(period.end_ms)
        if start is not None:
            period = replace(period, start_ms=start.start_of(period.start_ms))
        if end is not None:
            period = replace(period, end_ms=-end.start_of(-period.end_ms))
        return period


def extent_of(connection: Connection, source: str) -> Extent:
    """Return what is stored of `source`."""
    newest = newest_snapshot(connection, source)
    oldest_ms = connection.scalar(
        select(func.min(snapshots.c.taken_at)).where(snapshots.c.source == source)
    )
    fine_ms = connection.scalar(
        select(func.min(rollup_periods.c.starts_at)).where(
            rollup_periods.c.source == source, rollup_periods.c.tier == FIVE_MINUTES.name
        )
    )
    interval_ms = int(decode(newest.document)["interval_s"] * 1000) if newest else _NO_INTERVAL_MS
    made_until = progress_of(connection, source)
    newest_ms = newest.taken_at_ms if newest else None
    return Extent(newest_ms, interval_ms, oldest_ms, fine_ms, made_until)


def pieces(extent: Extent, period: Period, tiers: Sequence[Tier] = WHOLE_TIERS) -> Iterator[Piece]:
    """Yield what `period` is put together from, in order of time.

    `tiers` are those to use, the coarsest first.
    """
    start_ms, end_ms = period.start_ms, period.end_ms
    if start_ms >= end_ms:
        return
    if not tiers:
        yield Piece(None, start_ms, end_ms)
        return
    tier, *finer = tiers
    first_ms = -tier.start_of(-start_ms)
    until_ms = tier.start_of(min(end_ms, extent.made_until.get(tier.name, 0)))
    if first_ms >= until_ms:
        yield from pieces(extent, period, finer)
        return
    yield from pieces(extent, Period(start_ms, first_ms), finer)
    yield Piece(tier, first_ms, until_ms)
    yield from pieces(extent, Period(until_ms, end_ms), finer)
