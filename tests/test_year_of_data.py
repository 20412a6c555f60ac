"""The year of data that tests and benchmarks stand on: is it plausible, and the same every time?"""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.year.__main__ import bottube
from bench.year.filling import Past, fill, kept_by
from bench.year.happenings import Timeline
from bench.year.parts import fill_in_parts
from bench.year.rhythm import busyness, counted
from bench.year.snapshots import Year
from config import Config
from config.retention import Retention
from migrations.upgrading import upgrade
from store.codec import decode
from store.histograms import LatencyHistogram
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.configuring import bottube_tree
from tests.support.records import recorded, rows
from tests.support.sampling import assert_fit_for_the_public, cycle_of, document_of
from tests.support.servers import RawServer, healthy

#: 2026-11-20T00:00:00Z, a Friday.
END_MS = 1_795_132_800_000
MONDAY_MS = END_MS - 4 * DAY_MS
TABLES = {
    "snapshots": "taken_at",
    "interval_histograms": "taken_at, class_key",
    "rollup_periods": "tier, starts_at",
    "rollup_values": "tier, metric, starts_at",
    "rollup_latency": "tier, starts_at, class_key",
    "kept_snapshots": "taken_at",
    "status_changes": "taken_at, kind, name",
    "metrics": "metric",
}


@pytest.fixture(scope="module")
def year() -> Year:
    return Year(bottube("sqlite://"), seed=1)


def _seldom(url: str, interval_s: int, **retention: int) -> Config:
    """BoTTube, looked at less often: a long time is made sooner."""
    config = bottube(url)
    schedule = config.schedule.model_copy(update={"interval_s": interval_s})
    return config.model_copy(update={"schedule": schedule, "retention": Retention(**retention)})


def _fill(url: str, start_ms: int, end_ms: int) -> None:
    upgrade(url)
    config = bottube(url)
    fill(url, Past(config, 1, start_ms, end_ms), lambda _: None, kept=kept_by(config))


def _tables(url: str) -> dict[str, list[Any]]:
    return {
        name: [tuple(row) for row in rows(url, f"SELECT * FROM {name} ORDER BY {key}")]
        for name, key in TABLES.items()
    }


def test_a_moment_tells_the_same_whatever_else_is_told(year: Year) -> None:
    long = {one.taken_at_ms: one.document for one in year.documents(END_MS - HOUR_MS, END_MS)}
    other = Year(bottube("sqlite://"), seed=1)
    late = END_MS - 5 * MINUTE_MS
    short = {one.taken_at_ms: one.document for one in other.documents(late, END_MS)}
    assert len(short) == 10
    assert short.items() <= long.items()


def test_another_seed_is_another_year(year: Year) -> None:
    one = next(year.documents(END_MS, END_MS + 1)).document
    other = next(Year(bottube("sqlite://"), seed=2).documents(END_MS, END_MS + 1)).document
    assert one != other


def test_a_store_that_is_brought_further_is_the_one_that_was_made_at_once(
    tmp_path: Path,
) -> None:
    at_once, in_steps = (f"sqlite:///{tmp_path}/{name}.db" for name in ("at_once", "in_steps"))
    start_ms, end_ms = END_MS - HOUR_MS, END_MS + 20 * MINUTE_MS
    _fill(at_once, start_ms, end_ms)
    _fill(in_steps, start_ms, END_MS - 7 * MINUTE_MS)
    _fill(in_steps, start_ms, end_ms)
    assert _tables(in_steps) == _tables(at_once)


def test_a_past_that_was_made_in_parts_is_the_one_that_was_made_at_once(tmp_path: Path) -> None:
    at_once, in_parts = (f"sqlite:///{tmp_path}/{name}.db" for name in ("at_once", "in_parts"))
    config = _seldom(at_once, 3600, snapshots_days=1, five_minutes_days=3, hours_days=5)
    past = Past(config, 1, END_MS - 6 * DAY_MS - HOUR_MS, END_MS - 7 * HOUR_MS)
    upgrade(at_once)
    fill(at_once, past, lambda _: None, kept=kept_by(config))
    upgrade(in_parts)
    fill_in_parts(in_parts, past, lambda _: None, workers=2)
    one, other = _tables(at_once), _tables(in_parts)
    # The numbers of metrics are those of the order in which they were first seen.
    for tables in (one, other):
        paths = {row[0]: row[2] for row in tables.pop("metrics")}
        values = [(row[0], paths[row[1]], *row[2:]) for row in tables["rollup_values"]]
        tables["rollup_values"] = sorted(values)
    assert other == one
    assert min(row[1] for row in one["snapshots"]) < past.end_ms - DAY_MS + HOUR_MS
    assert {row[0] for row in one["rollup_values"]} == {"5m", "1h", "1d"}


def test_a_store_has_every_snapshot_and_what_is_made_of_them(store_url: str) -> None:
    start_ms = END_MS - 2 * HOUR_MS
    _fill(store_url, start_ms, END_MS + 1)
    stopped = [one for one in Timeline(1).between(start_ms, END_MS + 1) if one.kind == "stopped"]
    due = [
        at_ms
        for at_ms in range(start_ms, END_MS + 1, 30_000)
        if not any(one.starts_at_ms <= at_ms < one.ends_at_ms for one in stopped)
    ]
    assert [one.taken_at_ms for one in recorded(store_url)] == due
    found = rows(
        store_url, "SELECT tier, SUM(snapshots), COUNT(*) FROM rollup_periods GROUP BY tier"
    )
    in_tiers = {tier: int(count) for tier, count, _ in found}
    assert in_tiers["5m"] == in_tiers["1h"] == len(due) - 1


def test_what_is_old_has_been_forgotten(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    config = _seldom(url, 300, snapshots_days=1)
    past = Past(config, 1, END_MS - 26 * HOUR_MS, END_MS)
    fill(url, past, lambda _: None, kept=kept_by(config))
    oldest_ms = recorded(url)[0].taken_at_ms
    # A day before the newest, which was taken at 23:55, and then the whole hour.
    assert oldest_ms == END_MS - 25 * HOUR_MS
    assert rows(url, "PRAGMA freelist_count")[0][0] == 0
    # The roll-ups of what was forgotten are there.
    (first,) = rows(url, "SELECT MIN(starts_at) FROM rollup_periods WHERE tier = '5m'")
    assert first[0] == END_MS - 26 * HOUR_MS


def _shape(value: Any, path: str = "") -> set[str]:
    """Return the paths of all keys, without what differs from platform to platform."""
    if isinstance(value, dict):
        named = path == ".outcomes"
        return {
            inner
            for key, one in value.items()
            for inner in _shape(one, f"{path}.{'*' if named else key}")
        }
    if isinstance(value, list):
        return {inner for one in value for inner in _shape(one, f"{path}[]")}
    return {path}


def test_a_document_has_the_shape_of_the_daemons_own(
    tmp_path: Path,
    sqlite_url: str,
    bottube_path: Path,
    log_line: Callable[..., str],
    year: Year,
) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    with RawServer(healthy()) as server:
        tree = bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            log_path=log,
            node_urls=(server.url,),
            health_url=server.url,
        )
        sampled = document_of(cycle_of(tmp_path, tree))
    made = decode(next(year.documents(MONDAY_MS, END_MS)).document)
    # The rank of the queue's depth is not known to a daemon that has just begun.
    assert _shape(made) | {".sections.queue.missing.depth_percentile"} == _shape(sampled)
    assert_fit_for_the_public(made)


def test_evenings_are_busier_than_mornings_saturdays_than_mondays_and_it_grows() -> None:
    morning, evening = MONDAY_MS + 4 * HOUR_MS, MONDAY_MS + 16 * HOUR_MS
    assert busyness(evening) > 2 * busyness(morning) > 0
    assert busyness(evening + 5 * DAY_MS) > 1.1 * busyness(evening)
    assert 1.1 < busyness(evening) / busyness(evening - 364 * DAY_MS) < 1.6


def test_counters_never_go_back_and_grow_faster_in_the_evening() -> None:
    hours = [counted(MONDAY_MS + hour * HOUR_MS, 100, 2400) for hour in range(24 * 7)]
    steps = [after - before for before, after in pairwise(hours)]
    assert min(steps) >= 0
    assert hours[-1] - hours[0] == pytest.approx(2400 * 167 / 24, rel=0.02)
    assert sum(steps[15:18]) > 2 * sum(steps[3:6])


def test_nodes_go_down_sections_fail_and_the_daemon_stops() -> None:
    happened = Timeline(1).between(END_MS - 365 * DAY_MS, END_MS)
    by_kind = Counter(one.kind for one in happened)
    assert min(by_kind[kind] for kind in ("down", "failing", "partial", "slow", "stopped")) >= 10
    assert by_kind["restart"] >= 50
    stopped_min = [
        (one.ends_at_ms - one.starts_at_ms) / MINUTE_MS for one in happened if one.kind == "stopped"
    ]
    assert min(stopped_min) < 1
    assert max(stopped_min) > 60
    assert sum(stopped_min) < 0.01 * 365 * 24 * 60


def _first(kind: str, name: str = "", longer_than_ms: int = 8 * MINUTE_MS) -> Any:
    return next(
        one
        for one in Timeline(1).between(END_MS - 365 * DAY_MS, END_MS)
        if (one.kind, one.name) == (kind, name)
        and one.ends_at_ms - one.starts_at_ms > longer_than_ms
    )


def test_a_node_that_is_down_has_a_reason_and_no_numbers(year: Year) -> None:
    down = _first("down", "node-3")
    inside_ms = -(-down.starts_at_ms // 30_000) * 30_000
    document = decode(next(year.documents(inside_ms, down.ends_at_ms)).document)
    (node,) = (one for one in document["nodes"] if one["id"] == "node-3")
    assert (node["status"], node["rtt_ms"], node["phases_ms"]) == ("err", None, None)
    assert node["reason"] == down.reason
    assert document["sections"]["nodes"]["status"] == "ok"


def test_a_section_that_fails_carries_its_values_for_ten_intervals(year: Year) -> None:
    failing = _first("failing", "queue")
    good_ms = (failing.starts_at_ms - 1) // 30_000 * 30_000
    taken = {
        one.taken_at_ms: decode(one.document)
        for one in year.documents(good_ms, good_ms + 8 * MINUTE_MS)
    }
    last, first, tenth, eleventh = (taken[good_ms + n * 30_000] for n in (0, 1, 10, 11))
    assert last["sections"]["queue"]["status"] == "ok"
    for stale in (first, tenth):
        assert stale["sections"]["queue"]["status"] == "stale"
        assert stale["sections"]["queue"]["sampled_at"] == last["sections"]["queue"]["sampled_at"]
        assert stale["queue"] == last["queue"]
    assert eleventh["sections"]["queue"] | {"took_ms": 0} == {
        "title": "Generation queue (gpu_jobs)",
        "status": "error",
        "sampled_at": None,
        "took_ms": 0,
        "reason": failing.reason,
    }
    assert set(eleventh["queue"].values()) == {None}


def test_an_interval_holds_as_many_requests_as_it_says(year: Year) -> None:
    before_ms = END_MS - 30_000
    (snapshot,) = year.documents(END_MS, END_MS + 1)
    intervals = year.with_intervals(snapshot, before_ms).intervals
    assert set(intervals) == {"latency", "latency_admin"}
    columns = intervals["latency"].columns()
    exact = {key: columns[key] for key in ("errors", "clamped", "min_us", "max_us")}
    histogram = LatencyHistogram.decode(columns["histogram"], **exact)
    assert histogram.count == columns["count"] > 20
    assert columns["min_us"] <= histogram.percentiles_us([50])[0] <= columns["max_us"]
    assert before_ms < columns["oldest_at"] <= columns["newest_at"] < END_MS


def test_what_ended_while_the_daemon_was_stopped_is_in_the_next_interval(year: Year) -> None:
    (snapshot,) = year.documents(END_MS, END_MS + 1)
    usual = year.with_intervals(snapshot, END_MS - 30_000).intervals["latency"]
    after_stop = year.with_intervals(snapshot, END_MS - 20 * MINUTE_MS).intervals["latency"]
    assert after_stop.histogram.count > 20 * usual.histogram.count
    assert after_stop.oldest_at_ms < END_MS - 19 * MINUTE_MS
    assert replace(after_stop, histogram=usual.histogram).columns()["oldest_at"] is not None


def test_the_command_makes_a_store_and_says_how_far_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    arguments = ["--store", url, "--days", "0.05", "--end", "2026-11-20"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.year", *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert done.stderr.endswith(f"{url}: until 2026-11-20 00:00:00 UTC\n")
    taken = [one.taken_at_ms for one in recorded(url)]
    assert len(taken) > 100
    assert END_MS - 0.05 * DAY_MS <= taken[0] <= taken[-1] == END_MS - 30_000
