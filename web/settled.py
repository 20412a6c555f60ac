"""Up to when the record has been rolled up, and whether that is all that a past page is made of."""

from typing import Final

from sqlalchemy import Connection, func, select

from store.rolling_up import progress_of
from store.tables import rollup_periods, snapshots
from store.tiers import DAY, FIVE_MINUTES, HALF_HOUR, HOUR, Tier

#: What pages are made of.
_USED: Final = (FIVE_MINUTES, HALF_HOUR, HOUR, DAY)


def is_settled(connection: Connection, source: str, taken_at_ms: int) -> bool:
    """Say whether no roll-up of a time before `taken_at_ms` is still to come.

    Then the page of the snapshot that was taken then will be the same for as long as the roll-ups
    are kept.
    """
    return all(
        complete_until(connection, source, tier, taken_at_ms) == tier.start_of(taken_at_ms)
        for tier in _USED
    )


def complete_until(connection: Connection, source: str, tier: Tier, end_ms: int) -> int:
    """Return until when `tier` has all that it will ever have, at most the last period's end.

    The last period is the last whole one before `end_ms` (all Unix ms). Where nothing was recorded
    there is nothing to make.
    """
    end_ms = tier.start_of(end_ms)
    made_ms = progress_of(connection, source).get(tier.name, 0)
    finer = tier.made_of
    time = snapshots.c.taken_at if finer is None else rollup_periods.c.starts_at
    left = select(func.min(time)).where(time >= made_ms, time < end_ms)
    if finer is None:
        left = left.where(snapshots.c.source == source)
    else:
        left = left.where(rollup_periods.c.source == source, rollup_periods.c.tier == finer.name)
    first_ms = connection.scalar(left)
    if first_ms is not None:
        return tier.start_of(first_ms)
    if finer is None or made_ms >= end_ms:
        return end_ms
    return min(end_ms, tier.start_of(complete_until(connection, source, finer, end_ms)))
