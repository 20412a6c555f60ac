"""The distribution of a window, against NumPy over the same durations."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.latency.distribution import distribution
from tests.support.properties import unhurried

HOUR_US = 3_600_000_000
#: Spread over the magnitudes as latencies are, not over the numbers.
durations = st.one_of(
    st.integers(1, HOUR_US),
    st.integers(0, 9).flatmap(lambda power: st.integers(1, 4 * 10**power)),
)


def known(durations_us: list[int]) -> tuple[list[float], list[int]]:
    """Return bounds and counts as a client reads them from the document."""
    told = json.loads(json.dumps(distribution(durations_us)))
    assert told.keys() == {"bounds_ms", "counts"}
    return told["bounds_ms"], told["counts"]


@unhurried
@given(durations_us=st.lists(durations, min_size=1, max_size=200))
@example(durations_us=[1])
@example(durations_us=[HOUR_US])
@example(durations_us=[1, HOUR_US])
@example(durations_us=[7498, 7499, 7500, 9_999, 10_000, 10_001])
def test_whoever_counts_by_the_published_bounds_gets_the_published_counts(
    durations_us: list[int],
) -> None:
    bounds_ms, counts = known(durations_us)
    theirs, _ = np.histogram(np.array(durations_us) / 1000, bins=bounds_ms)
    assert counts == theirs.tolist()
    assert sum(counts) == len(durations_us)


@unhurried
@given(durations_us=st.lists(durations, min_size=1, max_size=50))
def test_bounds_are_eighths_of_a_decade_from_the_first_to_the_last_bin_with_a_request(
    durations_us: list[int],
) -> None:
    bounds_ms, counts = known(durations_us)
    assert counts[0] > 0
    assert counts[-1] > 0
    assert len(bounds_ms) == len(counts) + 1
    for bound_ms in bounds_ms:
        eighths = round(8 * math.log10(bound_ms))
        assert bound_ms == float(f"{10 ** (eighths / 8):.4g}")
    steps = np.diff([round(8 * math.log10(bound_ms)) for bound_ms in bounds_ms])
    assert set(steps) == {1}


def test_equal_durations_are_one_bin() -> None:
    # 10^(7/8) = 7.499 and 10^(8/8) = 10.
    assert distribution([8_430] * 160) == {"bounds_ms": [7.499, 10.0], "counts": [160]}


def test_a_bin_has_its_lower_bound_and_not_its_upper_one() -> None:
    told = {"bounds_ms": [5.623, 7.499, 10.0, 13.34], "counts": [1, 2, 1]}
    assert distribution([7_498, 7_499, 9_999, 10_000]) == told


def test_bins_without_a_request_between_others_are_zeros() -> None:
    told = distribution([1_000] * 158 + [400_000, 486_000])
    assert told is not None
    # From 1 ms to 562.3 ms are two and three quarters decades.
    assert told["counts"] == [158, *[0] * 19, 1, 1]


@pytest.mark.parametrize(
    ("duration_us", "as_if_us"), [(0, 1), (-7, 1), (HOUR_US + 1, HOUR_US), (10**15, HOUR_US)]
)
def test_what_is_out_of_range_counts_at_the_nearer_bound(duration_us: int, as_if_us: int) -> None:
    assert distribution([duration_us]) == distribution([as_if_us])
    told = distribution([duration_us])
    assert told is not None
    assert told["bounds_ms"][0] <= as_if_us / 1000 < told["bounds_ms"][1]


def test_without_requests_there_is_no_distribution() -> None:
    assert distribution([]) is None
    assert distribution(iter(())) is None


@unhurried
@given(parts=st.lists(st.lists(durations, min_size=1), min_size=1, max_size=4))
def test_counts_of_parts_add_up_to_those_of_the_whole(parts: list[list[int]]) -> None:
    added: dict[float, int] = {}
    for part in parts:
        for bound_ms, count in zip(*known(part), strict=False):
            added[bound_ms] = added.get(bound_ms, 0) + count
    bounds_ms, counts = known([duration_us for part in parts for duration_us in part])
    assert dict(zip(bounds_ms, counts, strict=False)) == {
        **dict.fromkeys(bounds_ms[:-1], 0),
        **added,
    }
