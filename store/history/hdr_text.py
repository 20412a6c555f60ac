"""Distributions as text that HdrHistogram's own tools read: `.hgrm` and `.hlog`.

Both as its Java implementation writes them (https://github.com/HdrHistogram/HdrHistogram:
`AbstractHistogram.outputPercentileDistribution`, `HistogramLogWriter`). The Python package has
writers too: theirs gives the standard deviation in another unit than the mean, steps through other
percentiles, and cuts maxima off to whole numbers.

A `.hgrm` is in milliseconds. In a `.hlog` the histograms are in microseconds, as they are stored,
and `Interval_Max` is in milliseconds.
"""

import base64
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from hdrh.histogram import HdrHistogram

from store.histograms import HIGHEST_US, LOWEST_US, SIGNIFICANT_DIGITS, LatencyHistogram
from store.times import SECOND_MS, iso_utc

_US_PER_MS = 1000
#: Steps in each half of what is left to 100 %, as the tools have it.
_TICKS = 5
_LOG_VERSION = "1.3"
_LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


@dataclass(frozen=True)
class LogLine:
    """The requests of [start_ms, end_ms), Unix ms: a line of a `.hlog`.

    `encoded` is their histogram as it is stored; `max_us` the slowest, None without requests.
    """

    start_ms: int
    end_ms: int
    encoded: bytes
    max_us: int | None


@dataclass(frozen=True)
class _Bucket:
    """Equal values, in microseconds: how many, and how many there are up to them."""

    lowest_us: int
    highest_us: int
    count: int
    up_to: int

    @property
    def middle_us(self) -> int:
        return self.lowest_us + (self.highest_us - self.lowest_us + 1) // 2


def hgrm(histogram: LatencyHistogram, comments: Iterable[str]) -> str:
    """Return the percentile distribution of `histogram` in milliseconds; `comments` at its end.

    Without requests there are no lines, and mean, deviation and maximum are NaN.
    """
    decoded = _decoded(histogram)
    buckets = list(_buckets(decoded))
    lines = ["       Value     Percentile TotalCount 1/(1-Percentile)", ""]
    for value_us, percentile, up_to in _steps(buckets):
        value, share = _number(value_us / _US_PER_MS, 3), percentile / 100
        line = f"{value:>12} {_number(share, 12)} {up_to:>10}"
        lines.append(line if share == 1 else f"{line} {_number(1 / (1 - share), 2):>14}")
    mean_us, deviation_us = _mean_and_deviation(buckets)
    max_us = buckets[-1].highest_us if buckets else math.nan
    mean, deviation, highest = (
        _number(us / _US_PER_MS, 3) for us in (mean_us, deviation_us, max_us)
    )
    lines += [
        f"#[Mean    = {mean:>12}, StdDeviation   = {deviation:>12}]",
        f"#[Max     = {highest:>12}, Total count    = {histogram.count:>12}]",
        f"#[Buckets = {decoded.bucket_count:>12}, SubBuckets     = {decoded.sub_bucket_count:>12}]",
    ]
    return _text([*lines, *(f"#[{comment}]" for comment in comments)])


def hlog(lines: Iterable[LogLine], start_ms: int, comments: Iterable[str]) -> str:
    """Return a histogram log of `lines`, none of them before `start_ms`; `comments` at its top.

    Times are absolute. A part in which there were no requests has a line, a gap has none.
    """
    head = [
        *(f"#[{comment}]" for comment in comments),
        f"#[Histogram log format version {_LOG_VERSION}]",
        f"#[StartTime: {_seconds(start_ms)} (seconds since epoch), {iso_utc(start_ms)}]",
        _LEGEND,
    ]
    layout = HdrHistogram(LOWEST_US, HIGHEST_US, SIGNIFICANT_DIGITS)
    return _text([*head, *(_line(line, layout) for line in lines)])


def _line(line: LogLine, layout: HdrHistogram) -> str:
    # As the tools write it: not the exact maximum, but the highest value that it is counted with.
    within_us = min(max(line.max_us or 0, LOWEST_US), HIGHEST_US)
    highest_us = 0 if line.max_us is None else layout.get_highest_equivalent_value(within_us)
    return ",".join(
        (
            _seconds(line.start_ms),
            _seconds(line.end_ms - line.start_ms),
            _number(highest_us / _US_PER_MS, 3),
            base64.b64encode(line.encoded).decode(),
        )
    )


def _decoded(histogram: LatencyHistogram) -> HdrHistogram:
    return HdrHistogram.decode(base64.b64encode(histogram.encode()))


def _buckets(decoded: HdrHistogram) -> Iterator[_Bucket]:
    up_to, total = 0, decoded.get_total_count()
    for index in range(decoded.counts_len):
        if up_to == total:
            return
        if count := decoded.get_count_at_index(index):
            up_to += count
            lowest_us = decoded.get_value_from_index(index)
            highest_us = decoded.get_highest_equivalent_value(lowest_us)
            yield _Bucket(lowest_us, highest_us, count, up_to)


def _steps(buckets: Sequence[_Bucket]) -> Iterator[tuple[int, float, int]]:
    """Yield value, percentile and count up to it, in the steps of Java's PercentileIterator."""
    percentile = 0.0
    for bucket in buckets:
        while percentile <= 100 * bucket.up_to / buckets[-1].up_to:
            yield bucket.highest_us, percentile, bucket.up_to
            halvings = math.floor(math.log2(100 / (100 - percentile)))
            percentile += 100 / (_TICKS * 2 ** (halvings + 1))
            if bucket is buckets[-1]:
                yield bucket.highest_us, 100.0, bucket.up_to
                return


def _mean_and_deviation(buckets: Sequence[_Bucket]) -> tuple[float, float]:
    if not buckets:
        return math.nan, math.nan
    total = buckets[-1].up_to
    mean = sum(bucket.middle_us * bucket.count for bucket in buckets) / total
    squares = 0.0
    for bucket in buckets:
        squares += (bucket.middle_us - mean) * (bucket.middle_us - mean) * bucket.count
    return mean, math.sqrt(squares / total)


def _number(value: float, digits: int) -> str:
    """Return `value` with so many decimals, halves of its shortest form rounded up as Java does."""
    if math.isnan(value):
        return "NaN"
    return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"


def _seconds(value_ms: int) -> str:
    return f"{value_ms // SECOND_MS}.{value_ms % SECOND_MS:03d}"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
