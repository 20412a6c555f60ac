"""Roll-ups and retention where the record is odd: damage, extremes, neighbours, changed minds."""

import math
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.histograms import LatencyHistogram
from store.history.asking import Period
from store.history.incidents import incidents
from store.history.latency_lines import log_lines
from store.history.period_latency import latency_of
from store.history.series import ask
from store.history.uptime import uptimes
from store.reading import newest_snapshot, snapshot_after
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.databases import in_no_hurry_to_the_disk
from tests.support.odd_snapshots import (
    SOURCE,
    START_MS,
    nodes,
    odd_snapshot,
    reading,
    settle,
    store,
)
from tests.support.records import change, rows

_ALL_TIERS = (SNAPSHOTS, "5m", "1h", "1d")


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    in_no_hurry_to_the_disk(engine)
    yield engine
    engine.dispose()


def _every(interval_s: int, start_ms: int, end_ms: int) -> range:
    return range(start_ms, end_ms, interval_s * 1000)


def test_a_damaged_kept_document_is_in_nobodys_way_while_the_snapshot_is_there(
    store_url: str, writer: Engine
) -> None:
    times = _every(150, START_MS, START_MS + 2 * HOUR_MS + 1)
    store(writer, [odd_snapshot(at, 150, nodes=nodes(a="err")) for at in times])
    settle(writer)
    change(store_url, "UPDATE kept_snapshots SET document = 'x'")
    with reading(store_url) as connection:
        newest = newest_snapshot(connection, SOURCE)
        after = snapshot_after(connection, SOURCE, START_MS)
        found = incidents(connection, SOURCE, Period(START_MS, times[-1] + 1))
    assert newest is not None
    assert newest.taken_at_ms == times[-1]
    assert after is not None
    assert after.taken_at_ms == START_MS + 150_000
    assert [(one.name, one.last_seen_ms) for one in found] == [("a", times[-1])]


def test_numbers_of_any_size_are_summed_exactly_on_both_engines(
    store_url: str, writer: Engine
) -> None:
    huge = [1e289, 3.5, -1e289, 0.1, 2.0**53, 1.0, -(2.0**53), -0.0, 5e-324, 0.7]
    times = _every(60, START_MS, START_MS + DAY_MS + 1)
    values = [huge[slot % len(huge)] for slot in range(len(times))]
    mild = [2.0**53 if slot % 2 else 1.0 for slot in range(len(times))]
    store(
        writer,
        [
            odd_snapshot(at, 60, queue={"huge": value, "mild": other})
            for at, value, other in zip(times, values, mild, strict=True)
        ],
    )
    settle(writer)
    sums = rows(
        store_url,
        "SELECT path, v.count, v.min, v.max, v.total, v.total_rest, v.last"
        " FROM rollup_values v JOIN metrics m ON m.metric = v.metric WHERE tier = '1d'"
        " ORDER BY path",
    )
    of_the_day = values[:1440]
    assert [tuple(row)[:4] for row in sums] == [
        ("queue.huge", 1440, -1e289, 1e289),
        ("queue.mild", 1440, 1.0, 2.0**53),
    ]
    assert sums[0].last == of_the_day[-1]
    # Exact, which no sum of floats one after the other is.
    assert sums[1].total + sums[1].total_rest == math.fsum(mild[:1440])
    assert sums[1].total_rest == math.fsum([*mild[:1440], -math.fsum(mild[:1440])])


def test_intervals_that_do_not_divide_the_periods_are_wholly_covered(
    store_url: str, writer: Engine
) -> None:
    lengths_s = {7: 2 * HOUR_MS, 70: 6 * HOUR_MS, 420: 2 * DAY_MS, 3600: 4 * DAY_MS}
    for interval_s, length_ms in lengths_s.items():
        source = f"every {interval_s}"
        interval_ms = interval_s * 1000
        start_ms = -(-START_MS // interval_ms) * interval_ms
        times = _every(interval_s, start_ms, START_MS + length_ms + interval_ms)
        store(
            writer,
            [
                odd_snapshot(at, interval_s, {"latency": [5]}, source, nodes=nodes(a="ok"))
                for at in times
            ],
        )
        settle(writer, {SNAPSHOTS: length_ms // 2, "5m": None, "1h": None, "1d": None}, source)
        end_ms = START_MS + length_ms
        period = Period(START_MS, end_ms)
        with reading(store_url) as connection:
            answer = ask(connection, source, ["nodes.a.up", "latency.p50"], period, None, end_ms)
            latency = latency_of(connection, source, "latency", period, end_ms)
            (uptime,) = uptimes(connection, source, ["a"], period)
        within = [at for at in times if at < end_ms]
        # The first and the last stand for a time that is partly outside.
        slack = interval_ms / length_ms + 1e-6
        for coverage in (latency.coverage, *(one.coverage for one in answer.series)):
            assert 1 - slack <= coverage <= 1, interval_s
        assert uptime.unknown_ms <= interval_ms
        assert latency.interval is not None
        assert latency.interval.histogram.count == len(within)
        counts = answer.series[0].columns["snapshots"]
        assert sum(count or 0 for count in counts) == len(
            [at for at in times if at < answer.period.end_ms]
        )
        assert 0 not in counts


def test_two_sources_in_one_store_do_not_touch_each_other(store_url: str, writer: Engine) -> None:
    end_ms = START_MS + 3 * DAY_MS

    def taken(source: str, factor: int) -> None:
        store(
            writer,
            [
                odd_snapshot(
                    at, 1800, {"latency": [factor]}, source, queue={"queued": factor, source: 1}
                )
                for at in _every(1800, START_MS, end_ms + 1)
            ],
        )

    taken("a", 10)
    taken("b", 20)
    for step in range(4):
        roll_up(writer, "ab"[step % 2], 40)
    settle(writer, None, "b")
    settle(writer, None, "a")
    whole = Period(START_MS, end_ms)

    def told(source: str) -> object:
        with reading(store_url) as connection:
            metrics = ["queue.*", "latency.p50"]
            answer = ask(connection, source, metrics, whole, DAY_MS, end_ms)
            return answer, latency_of(connection, source, "latency", whole, end_ms).coverage

    before = told("b")
    settle(writer, dict.fromkeys(_ALL_TIERS, HOUR_MS), "a")
    assert told("b") == before
    with reading(store_url) as connection:
        (series,) = ask(connection, "b", ["queue.queued"], whole, HOUR_MS, end_ms).series
    assert series.columns["last"] == [20] * 72
    left = rows(
        store_url,
        "SELECT DISTINCT m.source FROM rollup_values v JOIN metrics m ON m.metric = v.metric"
        " WHERE v.tier = '1h' AND v.starts_at < " + str(end_ms - 2 * HOUR_MS),
    )
    assert [row.source for row in left] == ["b"]


def test_retention_made_short_and_long_again_leaves_no_hole(store_url: str, writer: Engine) -> None:
    first_ms, end_ms = START_MS + 4 * DAY_MS, START_MS + 8 * DAY_MS

    def add(start_ms: int, until_ms: int) -> None:
        store(
            writer,
            [
                odd_snapshot(at, 600, {"latency": [at % 999 + 1]}, queue={"queued": 1})
                for at in _every(600, start_ms, until_ms)
            ],
        )

    long = {SNAPSHOTS: 3 * DAY_MS, "5m": 6 * DAY_MS, "1h": None, "1d": None}
    short = {SNAPSHOTS: 7 * HOUR_MS, "5m": 31 * HOUR_MS, "1h": None, "1d": None}
    add(START_MS, first_ms)
    settle(writer, long)
    settle(writer, short)
    add(first_ms, end_ms + 1)
    settle(writer, long)
    for start_ms in _every(47 * 60, START_MS, end_ms - HOUR_MS):
        period = Period(start_ms, start_ms + 11 * HOUR_MS + 7 * MINUTE_MS)
        with reading(store_url) as connection:
            found = latency_of(connection, SOURCE, "latency", period, end_ms)
        used = found.period
        due = [at for at in _every(600, START_MS, end_ms + 1) if used.start_ms <= at < used.end_ms]
        assert found.interval is not None
        assert found.interval.histogram.count == len(due)
        assert used.start_ms <= period.start_ms
        assert used.end_ms >= period.end_ms


def test_a_question_is_of_one_moment_while_upkeep_goes_on(store_url: str, writer: Engine) -> None:
    end_ms = START_MS + 2 * DAY_MS
    times = _every(300, START_MS, end_ms + 1)
    store(
        writer,
        [odd_snapshot(at, 300, {"latency": [7]}, queue={"queued": 2}) for at in times],
    )
    kept: dict[str, int | None] = {SNAPSHOTS: HOUR_MS, "5m": 3 * HOUR_MS, "1h": None, "1d": None}
    is_done = threading.Event()

    def upkeep() -> None:
        try:
            while roll_up(writer, SOURCE, 3) or forget(writer, SOURCE, kept, HOUR_MS):
                pass
        finally:
            is_done.set()

    thread = threading.Thread(target=upkeep)
    thread.start()
    period = Period(START_MS, end_ms)
    asked = 0
    while not is_done.is_set() or not asked:
        with reading(store_url) as connection:
            latency = latency_of(connection, SOURCE, "latency", period, end_ms)
            answer = ask(connection, SOURCE, ["queue.queued"], period, HOUR_MS, end_ms)
        asked += 1
        assert latency.interval is not None
        assert (latency.interval.histogram.count, latency.coverage) == (576, 1.0)
        assert answer.series[0].columns["snapshots"] == [12] * 48
    thread.join()
    assert len(rows(store_url, "SELECT 1 FROM snapshots")) == 13


def test_a_damaged_histogram_is_lost_and_in_no_log(store_url: str, writer: Engine) -> None:
    end_ms = START_MS + 5 * HOUR_MS
    times = _every(600, START_MS, end_ms + 1)
    store(writer, [odd_snapshot(at, 600, {"latency": [7, 9]}) for at in times])
    settle(writer)
    blob = "'x'" if store_url.startswith("postgresql") else "x'78'"
    change(
        store_url,
        f"UPDATE rollup_latency SET histogram = {blob}"
        f" WHERE tier = '1h' AND starts_at = {START_MS + HOUR_MS}",
    )
    period = Period(START_MS, end_ms)
    with reading(store_url) as connection:
        found = latency_of(connection, SOURCE, "latency", period, end_ms)
        lines = list(log_lines(connection, SOURCE, "latency", period))
    assert found.interval is not None
    assert (found.interval.histogram.count, found.interval.lost) == (4 * 12, 12)
    assert [(line.start_ms - START_MS) // HOUR_MS for line in lines] == [0, 2, 3, 4]
    counts = [LatencyHistogram.decode(line.encoded).count for line in lines]
    assert counts == [12, 12, 12, 12]
