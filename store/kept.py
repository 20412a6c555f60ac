"""How long each tier of the record is kept: the configuration in the store's words."""

from config.retention import Retention, kept_ms
from store.forgetting import SNAPSHOTS
from store.tiers import DAY, FIVE_MINUTES, HOUR


def kept_of(retention: Retention) -> dict[str, int | None]:
    """Return how long each tier is kept in ms, None for ever, as `store.forgetting` takes it."""
    return {
        SNAPSHOTS: kept_ms(retention.snapshots_days),
        FIVE_MINUTES.name: kept_ms(retention.five_minutes_days),
        HOUR.name: kept_ms(retention.hours_days),
        DAY.name: kept_ms(retention.hours_days),
    }
