"""The tiers of the record: how long a period one row of each stands for.

The finest are the snapshots themselves. The rows of a tier are made of what `made_of` says: values
always of snapshots, so that no sum is rounded twice; histograms of the next finer tier's, which is
exact for counts.
"""

from dataclasses import dataclass

from store.times import DAY_MS, HOUR_MS, MINUTE_MS


@dataclass(frozen=True)
class Tier:
    """Periods of `step_ms`, aligned to the Unix epoch, that is to UTC."""

    name: str
    step_ms: int

    def start_of(self, at_ms: int) -> int:
        """Return when the period began that `at_ms` is in (both Unix ms)."""
        return at_ms - at_ms % self.step_ms


FIVE_MINUTES = Tier("5m", 5 * MINUTE_MS)
HOUR = Tier("1h", HOUR_MS)
DAY = Tier("1d", DAY_MS)
#: The finest first. Days have histograms alone: a year of hours is quick to read as values, but not
#: to merge as histograms.
TIERS = (FIVE_MINUTES, HOUR, DAY)
