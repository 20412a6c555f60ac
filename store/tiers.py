"""The tiers of the record: how long a period one row of each stands for.

The finest are the snapshots themselves. A tier is made of the next finer one, which is exact:
counts of histograms add up, and sums of numbers are kept with what rounding left over.
"""

from dataclasses import dataclass

from store.times import DAY_MS, HOUR_MS, MINUTE_MS


@dataclass(frozen=True)
class Tier:
    """Periods of `step_ms`, aligned to the Unix epoch, that is to UTC.

    `made_of` is None for the snapshots. A tier without `has_values` has percentiles alone: merging
    histograms is quick, but not for each point of a long series.
    """

    name: str
    step_ms: int
    made_of: "Tier | None" = None
    has_values: bool = True

    def start_of(self, at_ms: int) -> int:
        """Return when the period began that `at_ms` is in (both Unix ms)."""
        return at_ms - at_ms % self.step_ms


FIVE_MINUTES = Tier("5m", 5 * MINUTE_MS)
HALF_HOUR = Tier("30m", 30 * MINUTE_MS, FIVE_MINUTES, has_values=False)
HOUR = Tier("1h", HOUR_MS, FIVE_MINUTES)
TWO_HOURS = Tier("2h", 2 * HOUR_MS, HOUR, has_values=False)
SIX_HOURS = Tier("6h", 6 * HOUR_MS, HOUR, has_values=False)
DAY = Tier("1d", DAY_MS, HOUR)
#: All of them, each after what it is made of.
TIERS = (FIVE_MINUTES, HALF_HOUR, HOUR, TWO_HOURS, SIX_HOURS, DAY)
#: Those that a period can be put together from, the coarsest first.
WHOLE_TIERS = (DAY, HOUR, FIVE_MINUTES)
