"""The latency panels, against NumPy over the durations that were written to the log."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.latency import LatencyClass
from daemon.latency.window import Window
from daemon.requests import Request
from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.properties import unhurried
from tests.support.rows import empty_platform
from tests.support.sampling import cycle_of, document_of

#: HdrHistogram with three digits gives the upper edge of a bucket that is 0.1 % wide.
BUCKET = 1.001


@pytest.fixture
def sample(tmp_path: Path, sqlite_url: str) -> Callable[..., Document]:
    platform = empty_platform(tmp_path / "bottube.db")

    def document(log: Path, **classes: Any) -> Document:
        tree = bottube_tree(
            store_url=sqlite_url, observed_url=f"sqlite:///{platform}", log_path=log
        )
        for rules in tree["latency"]["classes"]:
            rules.update(classes)
        return document_of(cycle_of(tmp_path, tree))

    return document


def _at(seconds_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds_ago, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")


def _nearest_rank_ms(durations_us: list[int], percentile: float) -> float:
    return float(np.percentile(durations_us, percentile, method="inverted_cdf")) / 1000


def _assert_is_percentile(told_ms: float, durations_us: list[int], percentile: float) -> None:
    exact_ms = _nearest_rank_ms(durations_us, percentile)
    assert exact_ms <= told_ms <= exact_ms * BUCKET


def test_each_class_has_numpys_percentiles_over_its_last_requests(
    tmp_path: Path, sample: Callable[..., Document], log_line: Callable[..., str]
) -> None:
    dice = random.Random(7)
    users = [round(dice.lognormvariate(9, 1)) for _ in range(1500)]
    admin = [round(dice.lognormvariate(17, 0.5)) for _ in range(300)]
    lines = [log_line("/api/feed?page=2", us) for us in users]
    lines += [log_line("/admin/backfill", us) for us in admin]
    lines += [log_line("/static/app.js", 1), log_line("/health", 1)]
    # In any order between the classes, and in its own order within each.
    order = list(range(len(lines)))
    dice.shuffle(order)
    user_order = [users[i] for i in order if i < 1500]
    admin_order = [admin[i - 1500] for i in order if 1500 <= i < 1800]
    log = tmp_path / "access.log"
    log.write_text("".join(lines[i] for i in order))
    document = sample(log)
    for name, durations_us, window in (
        ("latency", user_order, 1000),
        ("latency_admin", admin_order, 200),
    ):
        last, entry = durations_us[-window:], document[name]
        for key, percentile in (("p50", 50), ("p95", 95), ("p99", 99)):
            _assert_is_percentile(entry[key], last, percentile)
        assert entry["max"] == max(last) / 1000
        assert (entry["samples"], entry["window"]) == (window, window)
        assert (entry["errors"], entry["lost"], entry["unparsed"]) == (0, 0, 0)


def test_of_a_hundred_and_sixty_requests_with_two_slow_ones_p99_is_a_slow_one(
    tmp_path: Path, sample: Callable[..., Document], log_line: Callable[..., str]
) -> None:
    # Rank ceil(0.99 * 160) = 159, the smaller of the two; rounding would take rank 158.
    durations_us = [5_000] * 158 + [400_000, 486_000]
    log = tmp_path / "access.log"
    log.write_text("".join(log_line("/api/feed", us) for us in durations_us))
    latency = sample(log)["latency"]
    _assert_is_percentile(latency["p99"], durations_us, 99)
    assert latency["p99"] >= 400
    assert latency["p50"] == pytest.approx(5, rel=0.001)


def test_errors_are_statuses_from_five_hundred_on(
    tmp_path: Path, sample: Callable[..., Document], log_line: Callable[..., str]
) -> None:
    statuses = [200, 302, 404, 499, 500, 503, 599]
    log = tmp_path / "access.log"
    log.write_text("".join(log_line(status=status) for status in statuses))
    latency = sample(log)["latency"]
    assert (latency["samples"], latency["errors"]) == (7, 3)


@pytest.mark.parametrize(
    ("p95_us", "bar"),
    [(1_000, 2.0), (25_000, 5.0), (250_000, 50.0), (500_000, 100.0), (3_000_000, 100.0)],
)
def test_the_bar_is_p95_in_percent_of_the_ceiling_held_to_two_and_a_hundred(
    tmp_path: Path,
    sample: Callable[..., Document],
    log_line: Callable[..., str],
    p95_us: int,
    bar: float,
) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line(duration_us=p95_us))
    latency = sample(log)["latency"]
    assert (latency["ceiling_ms"], latency["p95_bar"]) == (500, pytest.approx(bar, abs=0.1))


def test_the_oldest_request_has_its_age_by_the_logs_time(
    tmp_path: Path, sample: Callable[..., Document], log_line: Callable[..., str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line(at=_at(300)) + log_line(at=_at(200)) + log_line(at=_at(3)))
    assert sample(log)["latency"]["oldest_s"] == pytest.approx(300, abs=3)
    assert sample(log, window=2)["latency"]["oldest_s"] == pytest.approx(200, abs=3)


def test_a_window_without_requests_is_null_with_a_reason_and_not_zero(
    tmp_path: Path, sample: Callable[..., Document], log_line: Callable[..., str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line("/api/feed"))
    document = sample(log)
    entry = document["latency_admin"]
    measured = ("p50", "p95", "p99", "max", "oldest_s", "p95_bar")
    assert {entry[key] for key in measured} == {None}
    assert entry["samples"] == 0
    section = document["sections"]["latency_admin"]
    assert (section["status"], section["reason"]) == ("ok", "no_samples")


@unhurried
@given(
    durations_us=st.lists(st.integers(1, 3_600_000_000), min_size=1, max_size=300),
    window=st.integers(1, 200),
)
def test_a_window_of_any_requests_has_numpys_nearest_ranks(
    durations_us: list[int], window: int
) -> None:
    rules = LatencyClass(key="latency", title="t", window=window)
    kept = Window(rules)
    for duration_us in durations_us:
        kept.add([Request(1, duration_us, 200, "/")])
    entry, last = kept.describe(), durations_us[-window:]
    for key, percentile in (("p50", 50), ("p95", 95), ("p99", 99)):
        _assert_is_percentile(entry[key], last, percentile)
    assert entry["max"] == max(last) / 1000
    assert entry["p50"] <= entry["p95"] <= entry["p99"] <= entry["max"]
