"""How far back the record of a source reaches in each tier, and whether that is as it should be."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from store.forgetting import SNAPSHOTS
from store.reading import newest_taken_at_ms
from store.rolling_up import progress_of
from store.tables import rollup_periods, snapshots
from store.tiers import DAY, FIVE_MINUTES, HOUR, Tier

#: What holds documents or values, the finest first, each with the tier that is made of it.
_MADE_OF_IT = {
    SNAPSHOTS: FIVE_MINUTES,
    FIVE_MINUTES.name: HOUR,
    HOUR.name: DAY,
    DAY.name: None,
}


def oldest_ms(connection: Connection, source: str) -> dict[str, int | None]:
    """Return where each tier begins (Unix ms), the finest first; None when it has nothing."""
    oldest: dict[str, int | None] = {}
    for name in _MADE_OF_IT:
        query = select(func.min(rollup_periods.c.starts_at)).where(
            rollup_periods.c.source == source, rollup_periods.c.tier == name
        )
        if name == SNAPSHOTS:
            query = select(func.min(snapshots.c.taken_at)).where(snapshots.c.source == source)
        oldest[name] = connection.scalar(query)
    return oldest


def shortened(
    connection: Connection, source: str, kept_ms: Mapping[str, int | None]
) -> dict[str, int]:
    """Return the tiers that lack some of what `kept_ms` would keep, and where each begins.

    `kept_ms` is as `store.forgetting.forget` takes it. The tier that is made of a tier tells what
    there was; of days nothing is made, so nobody can say.
    """
    newest_ms = newest_taken_at_ms(connection, source)
    if newest_ms is None:
        return {}
    found: dict[str, int] = {}
    for name, oldest in oldest_ms(connection, source).items():
        coarser, kept = _MADE_OF_IT[name], kept_ms[name]
        since_ms = 0 if kept is None else newest_ms - kept
        begin_ms = newest_ms if oldest is None else oldest
        if coarser is not None and _has_period(connection, source, coarser, since_ms, begin_ms):
            found[name] = begin_ms
    return found


def behind_ms(connection: Connection, source: str) -> int:
    """Return how long before the newest snapshot those begin that are not rolled up yet, in ms."""
    newest_ms = newest_taken_at_ms(connection, source)
    made_until_ms = progress_of(connection, source).get(FIVE_MINUTES.name, 0)
    first_ms = connection.scalar(
        select(func.min(snapshots.c.taken_at)).where(
            snapshots.c.source == source, snapshots.c.taken_at >= made_until_ms
        )
    )
    return 0 if newest_ms is None or first_ms is None else newest_ms - first_ms


def _has_period(
    connection: Connection, source: str, tier: Tier, since_ms: int, until_ms: int
) -> bool:
    """Say whether there is a whole period of `tier` within the two times (Unix ms)."""
    starts_at = rollup_periods.c.starts_at
    found = connection.execute(
        select(starts_at)
        .where(rollup_periods.c.source == source, rollup_periods.c.tier == tier.name)
        .where(starts_at >= since_ms, starts_at <= until_ms - tier.step_ms)
        .limit(1)
    )
    return found.first() is not None
