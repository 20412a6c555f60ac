"""A daemon that slept for three days: ticks on time while it catches up, and the gap is a gap."""

import signal
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from store.engines import open_reader, open_writer
from store.history.asking import Period
from store.history.uptime import uptimes
from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import running
from tests.support.records import rows
from tests.support.upkeep_stores import DAY_MS, HOUR_MS, MINUTE_MS, SOURCE, every, fill
from tests.support.waiting import wait_for

_INTERVAL_MS = 2000
#: Begins with a period of 5 minutes, and ends within one, and within an hour.
_BACKLOG_MS = 30 * HOUR_MS + 2 * MINUTE_MS
_STEPS_MS = {
    "5m": 5 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "1d": DAY_MS,
}


def _fell_asleep_ms() -> int:
    """Return a time three days ago, two minutes into a period of 5 minutes, not of an hour."""
    ago_ms = time.time_ns() // 1_000_000 - 3 * DAY_MS
    return ago_ms - ago_ms % HOUR_MS - 13 * MINUTE_MS


def _tree(store_url: str, observed: Path) -> dict[str, Any]:
    tree = bottube_tree(store_url=store_url, observed_url=f"sqlite:///{observed}")
    tree["schedule"] = {"interval_s": _INTERVAL_MS // 1000, "deadline_s": 1.5}
    tree["observed"]["query_timeout_s"] = 1.0
    tree["store"]["source"] = SOURCE
    return tree


def _periods(url: str, tier: str) -> dict[int, tuple[int, float]]:
    """Return by its start how many snapshots a period has, and how many it should have."""
    sql = f"SELECT starts_at, snapshots, expected FROM rollup_periods WHERE tier = '{tier}'"
    return {row.starts_at: (row.snapshots, row.expected) for row in rows(url, sql)}


def _starts(url: str, tier: str) -> set[int]:
    sql = f"SELECT starts_at FROM rollup_latency WHERE tier = '{tier}'"
    return {row.starts_at for row in rows(url, sql)}


@pytest.mark.timeout(240)
def test_it_catches_up_without_a_late_tick_and_the_gap_is_a_gap(
    tmp_path: Path, sqlite_url: str, bottube_path: Path
) -> None:
    slept_ms = _fell_asleep_ms()
    before_ms = every(30, slept_ms - _BACKLOG_MS, slept_ms)
    engine = open_writer(sqlite_url)
    fill(engine, before_ms)
    engine.dispose()
    expected = {
        tier: {at_ms - at_ms % step_ms for at_ms in before_ms}
        for tier, step_ms in _STEPS_MS.items()
    }

    config = write_config(tmp_path / "opsnap.toml", _tree(sqlite_url, bottube_path))
    with running(config, "daemon") as daemon:
        wait_for(
            lambda: all(_starts(sqlite_url, tier) >= of for tier, of in expected.items()),
            "all roll-ups of before",
            timeout_s=180,
        )
        assert daemon.seconds_to_end(signal.SIGTERM) < 3

    newest_ms = rows(sqlite_url, "SELECT MAX(taken_at) FROM snapshots")[0][0]
    taken = rows(
        sqlite_url,
        f"SELECT taken_at FROM snapshots WHERE taken_at > {before_ms[-1]} ORDER BY taken_at",
    )
    # The first came at once; from then on one in every slot, carrying the slot's time: a tick that
    # begins a second late carries its own.
    first_ms, *ticks_ms = (row.taken_at for row in taken)
    assert len(ticks_ms) >= 3
    assert [at_ms % _INTERVAL_MS for at_ms in ticks_ms] == [0] * len(ticks_ms)
    assert {later - at for at, later in pairwise(ticks_ms)} == {_INTERVAL_MS}
    assert 0 < ticks_ms[0] - first_ms <= _INTERVAL_MS
    # Nothing was made of the three days in which nobody looked.
    for tier, step_ms in _STEPS_MS.items():
        made = {at_ms for at_ms in _starts(sqlite_url, tier) if at_ms + step_ms <= first_ms}
        assert made == expected[tier]
    _assert_coverage_is_told(sqlite_url, slept_ms)
    _assert_the_time_asleep_is_unknown(sqlite_url, Period(before_ms[0], newest_ms))


def _assert_coverage_is_told(url: str, slept_ms: int) -> None:
    fives, hours, days = (_periods(url, tier) for tier in ("5m", "1h", "1d"))
    # It fell asleep after 4 of 10 snapshots, and 47 minutes into its hour.
    assert fives[slept_ms - 2 * MINUTE_MS] == (4, 10)
    assert fives[slept_ms - 7 * MINUTE_MS] == (10, 10)
    assert hours[slept_ms - 47 * MINUTE_MS] == (94, 120)
    assert hours[slept_ms - 107 * MINUTE_MS] == (120, 120)
    assert sum(count for count, _ in days.values()) == _BACKLOG_MS // 30_000
    assert {of for _, of in days.values()} == {2880}


def _assert_the_time_asleep_is_unknown(url: str, period: Period) -> None:
    reader = open_reader(url)
    with reader.connect() as connection:
        (uptime,) = uptimes(connection, SOURCE, ["n-1"], period)
    reader.dispose()
    assert uptime.up_ms + uptime.down_ms + uptime.unknown_ms == period.length_ms
    # Since it woke up it has not looked at that node at all.
    assert uptime.up_ms + uptime.down_ms == _BACKLOG_MS
    assert 0 < uptime.down_ms < uptime.up_ms
