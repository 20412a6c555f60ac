"""How a period is put together from the tiers: the coarsest rows that fit in it, finer at its ends.

What is stored of each tier begins where deleting has come to and ends where making has come to.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, func, select

from store.codec import decode_if_sound, interval_ms_of
from store.history.asking import Period
from store.reading import newest_snapshot
from store.rolling_up import progress_of
from store.tables import rollup_periods, snapshots
from store.tiers import DAY, FIVE_MINUTES, HOUR, WHOLE_TIERS, Tier

#: After every moment that can be asked for.
_NEVER_MS = 1 << 62


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

    `made_until` has the tiers by name. Nothing has been deleted of the snapshots since
    `snapshots_from`, of the five minutes since `fine_from`, and of the hours since `hours_from`; 0
    where nothing ever has.
    """

    newest_ms: int | None
    interval_ms: int
    snapshots_from: int
    fine_from: int
    hours_from: int
    made_until: dict[str, int]

    def finest_at(self, at_ms: int) -> Tier | None:
        """Return the finest tier that reaches back to `at_ms`, None for the snapshots."""
        if at_ms >= self.snapshots_from:
            return None
        if at_ms >= self.fine_from:
            return FIVE_MINUTES
        return HOUR if at_ms >= self.hours_from else DAY

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
    interval_ms = interval_ms_of(decode_if_sound(newest.document) if newest else {})
    days_from = _oldest_period(connection, source, DAY)
    hours_from = _oldest_period(connection, source, HOUR)
    fine_from = _oldest_period(connection, source, FIVE_MINUTES)
    snapshots_from = connection.scalar(
        select(func.min(snapshots.c.taken_at)).where(snapshots.c.source == source)
    )
    # What is made of something is older than it only if that has been deleted.
    hours_since = _kept_since(hours_from, days_from, DAY)
    fine_since = max(_kept_since(fine_from, hours_from, HOUR), hours_since)
    snapshots_since = _kept_since(snapshots_from, fine_from, FIVE_MINUTES)
    return Extent(
        newest.taken_at_ms if newest else None,
        interval_ms,
        max(snapshots_since, fine_since),
        fine_since,
        hours_since,
        progress_of(connection, source),
    )


def _oldest_period(connection: Connection, source: str, tier: Tier) -> int | None:
    oldest_ms: int | None = connection.scalar(
        select(func.min(rollup_periods.c.starts_at)).where(
            rollup_periods.c.source == source, rollup_periods.c.tier == tier.name
        )
    )
    return oldest_ms


def _kept_since(oldest_ms: int | None, coarser_ms: int | None, coarser: Tier) -> int:
    """Return since when nothing has been deleted, of what begins at `oldest_ms`.

    `coarser_ms` is when what is made of it begins. Whole hours are deleted.
    """
    if coarser_ms is None or (oldest_ms is not None and coarser_ms >= coarser.start_of(oldest_ms)):
        return 0
    return _NEVER_MS if oldest_ms is None else HOUR.start_of(oldest_ms)


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
