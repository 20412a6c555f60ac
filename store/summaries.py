"""What a number was in a period: its smallest, largest, last value and its exact sum."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Summary:
    """`count` values: `total` is their sum as one float, `total_rest` what rounding left over.

    Together they are exact for values whose sizes are within about 10^15 of each other, so a sum
    of sums is the sum of the values, whichever periods it is put together from.
    """

    count: int
    min: float
    max: float
    total: float
    total_rest: float
    last: float

    @property
    def mean(self) -> float:
        """The arithmetic mean; dividing rounds, but never to what no value was."""
        return min(max(self.total / self.count, self.min), self.max)

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        """Return the summary of `values`, in order of time and not empty."""
        total, rest = _exact_sum(values)
        return cls(len(values), min(values), max(values), total, rest, values[-1])

    @classmethod
    def merged(cls, parts: Sequence["Summary"]) -> "Summary":
        """Return the summary of everything in `parts`, in order of time and not empty."""
        if len(parts) == 1:
            return parts[0]
        total, rest = _exact_sum([half for part in parts for half in (part.total, part.total_rest)])
        return cls(
            sum(part.count for part in parts),
            min(part.min for part in parts),
            max(part.max for part in parts),
            total,
            rest,
            parts[-1].last,
        )


def _exact_sum(values: Sequence[float]) -> tuple[float, float]:
    total = math.fsum(values)
    return total, math.fsum([*values, -total])
