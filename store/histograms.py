"""Latency distributions: HdrHistogram from 1 µs to 1 h with 3 digits, merged and never averaged.

The encoding is HdrHistogram's V2 compressed format (https://github.com/HdrHistogram), the bytes
before base64, which its Java, C, Go, Rust and JavaScript implementations read too.
"""

import base64
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self

from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException
from hdrh.histogram import HdrHistogram

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3
#: HdrHistogram's layout for three digits: 2 to this power steps up to the first doubling of width.
_SUB_BUCKET_BITS = 11


_DAMAGES = (
    HdrCookieException,
    HdrHistogramSettingsException,
    HdrLengthException,
    OverflowError,
    ValueError,
    zlib.error,
)


class DamagedHistogramError(ValueError):
    """The bytes of a histogram are not what was stored."""


class LatencyHistogram:
    """Durations in microseconds with exact count, errors, min and max. Not thread-safe.

    `clamped` counts durations below 0 or above 1 h, which are recorded at the nearer bound; 0, as
    a log in milliseconds writes it, is in range and stands in the lowest bucket.
    `min_us` and `max_us` are exact, and None while nothing is recorded.
    """

    def __init__(self) -> None:
        self._histogram = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
        self.count = 0
        self.errors = 0
        self.clamped = 0
        self.min_us: int | None = None
        self.max_us: int | None = None

    def record(self, duration_us: int, *, is_error: bool = False) -> None:
        """Add one request of `duration_us` microseconds."""
        within_us = min(max(duration_us, LOWEST_US), HIGHEST_US)
        self._histogram.record_value(within_us)
        self.count += 1
        self.errors += is_error
        self.clamped += not 0 <= duration_us <= HIGHEST_US
        self.min_us = duration_us if self.min_us is None else min(self.min_us, duration_us)
        self.max_us = duration_us if self.max_us is None else max(self.max_us, duration_us)

    def record_all(self, durations_us: Sequence[int], *, errors: int) -> None:
        """Add the requests of `durations_us`, of which `errors` failed: `record` for many."""
        if not durations_us:
            return
        lowest_us, highest_us = min(durations_us), max(durations_us)
        for duration_us, count in Counter(durations_us).items():
            within_us = min(max(duration_us, LOWEST_US), HIGHEST_US)
            self._histogram.record_value(within_us, count)
            self.clamped += 0 if 0 <= duration_us <= HIGHEST_US else count
        self.count += len(durations_us)
        self.errors += errors
        self.min_us = lowest_us if self.min_us is None else min(self.min_us, lowest_us)
        self.max_us = highest_us if self.max_us is None else max(self.max_us, highest_us)

    def merge(self, other: Self) -> None:
        """Add everything that `other` holds; the result is the same as recording it all here."""
        self._histogram.add(other._histogram)
        self.count += other.count
        self.errors += other.errors
        self.clamped += other.clamped
        self._widen(other.min_us, other.max_us)

    def merge_encoded(
        self, encoded: bytes, *, errors: int, clamped: int, min_us: int | None, max_us: int | None
    ) -> None:
        """Add the histogram of `encoded`, with the exact figures from their columns.

        Raises DamagedHistogramError, and adds nothing, when it cannot be decoded.
        """
        before = int(self._histogram.get_total_count())
        try:
            self._histogram.decode_and_add(base64.b64encode(encoded))
        except _DAMAGES as error:
            msg = f"a histogram that cannot be decoded: {type(error).__name__} {error}"
            raise DamagedHistogramError(msg) from error
        self.count += int(self._histogram.get_total_count()) - before
        self.errors += errors
        self.clamped += clamped
        self._widen(min_us, max_us)

    def _widen(self, min_us: int | None, max_us: int | None) -> None:
        mins = [us for us in (self.min_us, min_us) if us is not None]
        maxs = [us for us in (self.max_us, max_us) if us is not None]
        self.min_us, self.max_us = min(mins, default=None), max(maxs, default=None)

    def percentiles_us(self, percentiles: Iterable[float]) -> list[int | None]:
        """Return the nearest-rank percentiles in microseconds, None for each when empty.

        The p-th percentile is the smallest recorded value with at least p % of the samples at or
        below it: the value of rank ceil(p / 100 * count). It is exact to the histogram's
        0.1 %, at the upper edge of its bucket as in HdrHistogram, and never beyond the exact
        min and max.
        """
        wanted = list(percentiles)
        if self.min_us is None or self.max_us is None:
            return [None] * len(wanted)
        floor_us, ceiling_us = max(self.min_us, LOWEST_US), min(self.max_us, HIGHEST_US)
        # The library's own walk goes through all 24,000 counts, one call each.
        first = _index_of(floor_us)
        counts = self._histogram.counts[first : _index_of(ceiling_us) + 1]
        up_to = list(accumulate(counts))
        indexes = [first + bisect_left(up_to, nearest_rank(p, self.count)) for p in wanted]
        return [min(max(_highest_in(index), floor_us), ceiling_us) for index in indexes]

    def encode(self) -> bytes:
        """Return the counts as V2 compressed bytes; the exact figures are kept in columns."""
        return base64.b64decode(self._histogram.encode())

    @classmethod
    def decode(
        cls,
        encoded: bytes,
        *,
        errors: int = 0,
        clamped: int = 0,
        min_us: int | None = None,
        max_us: int | None = None,
    ) -> Self:
        """Return the histogram of `encoded`, with the exact figures from their columns."""
        result = cls()
        result.merge_encoded(encoded, errors=errors, clamped=clamped, min_us=min_us, max_us=max_us)
        return result


def nearest_rank(percentile: float, count: int) -> int:
    """Return ceil(percentile / 100 * count), at least 1, free of floating-point slips.

    `percentile` is taken to a thousandth.
    """
    return max(1, -(-round(percentile * 1000) * count // 100_000))


def _index_of(value_us: int) -> int:
    """Return at which index of HdrHistogram's counts `value_us` is counted."""
    shift = max(0, value_us.bit_length() - _SUB_BUCKET_BITS)
    return (shift << (_SUB_BUCKET_BITS - 1)) + (value_us >> shift)


def _highest_in(index: int) -> int:
    """Return the highest value, in microseconds, that the count at `index` stands for."""
    shift = max(0, (index >> (_SUB_BUCKET_BITS - 1)) - 1)
    return ((index - (shift << (_SUB_BUCKET_BITS - 1)) + 1) << shift) - 1
