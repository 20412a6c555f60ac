"""Latency histograms against NumPy and plain Python over the very samples."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.histograms import LatencyHistogram, nearest_rank
from tests.support.properties import unhurried

HOUR_US = 3_600_000_000
PERCENTILES = (50, 75, 90, 95, 99)

#: Evenly over the orders of magnitude, as latencies come, and a little beyond both ends.
durations_us = st.one_of(
    st.integers(0, 3000),
    st.integers(0, 42).flatmap(lambda bits: st.integers(0, 2**bits)),
    st.sampled_from((0, 1, 2047, 2048, 2049, 4095, 4096, HOUR_US - 1, HOUR_US, HOUR_US + 1)),
)
some_samples = st.lists(durations_us, min_size=1, max_size=400)


def histogram_of(samples: Sequence[int]) -> LatencyHistogram:
    histogram = LatencyHistogram()
    for duration_us in samples:
        histogram.record(duration_us)
    return histogram


def nearest_ranks(samples: Sequence[int], percentiles: Sequence[float]) -> list[int]:
    """What NumPy says of the samples, of which none counts as longer than an hour."""
    within = np.clip(np.array(samples, dtype=np.int64), 0, HOUR_US)
    return [int(np.percentile(within, p, method="inverted_cdf")) for p in percentiles]


def is_near(found_us: int | None, exact_us: int) -> bool:
    """Say whether a percentile is right to 0.1 %; the shortest that is told apart is 1 µs."""
    if found_us is None or exact_us == 0:
        return found_us in (0, 1)
    return abs(found_us - exact_us) <= exact_us / 1000


@unhurried
@given(some_samples)
@example([5000])
@example([5000] * 1000)
@example([3, 90_000_000])
@example([40_000] * 158 + [486_000] * 2)
@example([1])
@example([0])
@example([HOUR_US + 1])
@example([10 * HOUR_US] * 99 + [1])
@example([0, 1, HOUR_US, HOUR_US * 50])
def test_percentiles_are_nearest_rank_within_a_thousandth(samples: list[int]) -> None:
    found = histogram_of(samples).percentiles_us(PERCENTILES)
    for percentile, value_us, exact_us in zip(
        PERCENTILES, found, nearest_ranks(samples, PERCENTILES), strict=True
    ):
        assert is_near(value_us, exact_us), percentile


@unhurried
@given(some_samples, st.integers(1, 100_000).map(lambda n: n / 1000))
def test_any_percentile_is_the_smallest_value_with_enough_samples_at_or_below(
    samples: list[int], percentile: float
) -> None:
    within = sorted(min(us, HOUR_US) for us in samples)
    share = Fraction(str(percentile)) / 100
    exact_us = next(us for n, us in enumerate(within, 1) if Fraction(n, len(within)) >= share)
    (found,) = histogram_of(samples).percentiles_us([percentile])
    assert is_near(found, exact_us)


def test_of_160_requests_with_two_slow_ones_the_99th_percentile_is_a_slow_one() -> None:
    # 99 % of 160 is 158.4: the 159th is the first that has enough at or below it.
    samples = [8_000] * 158 + [486_000, 500_000]
    p95, p99 = histogram_of(samples).percentiles_us([95, 99])
    assert p95 == pytest.approx(8_000, rel=0.001)
    assert p99 == pytest.approx(486_000, rel=0.001)


def test_percentiles_below_two_milliseconds_are_exact() -> None:
    samples = list(range(1, 2001))
    assert histogram_of(samples).percentiles_us([0.05, 25, 50, 99.9, 100]) == [
        1,
        500,
        1000,
        1998,
        2000,
    ]


@pytest.mark.parametrize("duration_us", [1, 999, 123_457, 59_999_999, HOUR_US])
def test_when_all_are_equal_every_percentile_is_that_value_exactly(duration_us: int) -> None:
    found = histogram_of([duration_us] * 7).percentiles_us([0.1, 50, 99, 100])
    assert found == [duration_us] * 4


@unhurried
@given(some_samples)
def test_percentiles_stay_within_the_exact_bounds_and_in_order(samples: list[int]) -> None:
    asked = [0.001, 1, 50, 90, 99, 99.9, 99.999, 100]
    found = [us for us in histogram_of(samples).percentiles_us(asked) if us is not None]
    assert len(found) == len(asked)
    assert all(lower <= higher for lower, higher in pairwise(found))
    assert min(*samples, HOUR_US) <= found[0]
    assert found[-1] == min(max(samples), HOUR_US)


def test_percentiles_come_in_the_order_in_which_they_are_asked() -> None:
    samples = list(range(1, 101))
    assert histogram_of(samples).percentiles_us([99, 50, 95, 50]) == [99, 50, 95, 50]


def test_nothing_recorded_is_nothing_known() -> None:
    histogram = LatencyHistogram()
    assert histogram.percentiles_us([50, 99]) == [None, None]
    assert (histogram.count, histogram.errors, histogram.clamped) == (0, 0, 0)
    assert (histogram.min_us, histogram.max_us) == (None, None)


@unhurried
@given(st.lists(st.tuples(durations_us, st.booleans()), min_size=1, max_size=200))
def test_count_errors_clamped_min_and_max_are_exact(requests: list[tuple[int, bool]]) -> None:
    histogram = LatencyHistogram()
    for duration_us, is_error in requests:
        histogram.record(duration_us, is_error=is_error)
    durations = [duration_us for duration_us, _ in requests]
    assert histogram.count == len(requests)
    assert histogram.errors == len([1 for _, is_error in requests if is_error])
    assert histogram.clamped == len([us for us in durations if us < 0 or us > HOUR_US])
    assert (histogram.min_us, histogram.max_us) == (min(durations), max(durations))


@unhurried
@given(st.lists(st.lists(st.tuples(durations_us, st.booleans()), max_size=60), max_size=6))
def test_merged_parts_equal_the_whole(parts: list[list[tuple[int, bool]]]) -> None:
    merged, whole = LatencyHistogram(), LatencyHistogram()
    for requests in parts:
        part = LatencyHistogram()
        for duration_us, is_error in requests:
            part.record(duration_us, is_error=is_error)
            whole.record(duration_us, is_error=is_error)
        merged.merge(part)
    assert _all_of(merged) == _all_of(whole)
    samples = [duration_us for requests in parts for duration_us, _ in requests]
    assert merged.count == len(samples)
    if samples:
        exact = nearest_ranks(samples, PERCENTILES)
        assert all(map(is_near, merged.percentiles_us(PERCENTILES), exact))


def test_merging_leaves_the_part_as_it_was() -> None:
    part, whole = histogram_of([5, 7]), histogram_of([9])
    before = _all_of(part)
    whole.merge(part)
    whole.record(100)
    assert _all_of(part) == before


@unhurried
@given(st.lists(durations_us, max_size=300))
@example([])
@example([HOUR_US])
def test_encoding_and_decoding_gives_the_same_histogram(samples: list[int]) -> None:
    first = histogram_of(samples)
    second = LatencyHistogram.decode(
        first.encode(),
        errors=first.errors,
        clamped=first.clamped,
        min_us=first.min_us,
        max_us=first.max_us,
    )
    assert _all_of(second) == _all_of(first)
    assert second.count == len(samples)


@unhurried
@given(st.lists(durations_us, min_size=1, max_size=50), st.lists(durations_us, max_size=50))
def test_a_decoded_histogram_goes_on_as_if_it_had_never_been_stored(
    stored: list[int], later: list[int]
) -> None:
    first = histogram_of(stored)
    decoded = LatencyHistogram.decode(
        first.encode(), clamped=first.clamped, min_us=first.min_us, max_us=first.max_us
    )
    for duration_us in later:
        decoded.record(duration_us)
    assert _all_of(decoded) == _all_of(histogram_of(stored + later))


def test_three_hundred_requests_take_less_than_a_kilobyte() -> None:
    # 256 multiples of 200 µs from 20 ms on: about as wide as a page's latencies are.
    encoded = histogram_of([20_000 + 200 * (n % 256) for n in range(300)]).encode()
    # The cookie of HdrHistogram's V2 compressed format, as its other implementations read it.
    assert encoded[:4] == bytes.fromhex("1c849314")
    assert len(encoded) < 1024


@unhurried
@given(st.integers(1, 10**9), st.integers(1, 100_000))
def test_the_nearest_rank_has_no_floating_point_slips(count: int, thousandths: int) -> None:
    exact = math.ceil(Fraction(thousandths, 100_000) * count)
    assert nearest_rank(thousandths / 1000, count) == exact


def _all_of(histogram: LatencyHistogram) -> tuple[object, ...]:
    return (
        histogram.encode(),
        histogram.count,
        histogram.errors,
        histogram.clamped,
        histogram.min_us,
        histogram.max_us,
        histogram.percentiles_us([1, 50, 95, 99.9, 100]),
    )
