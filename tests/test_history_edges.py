"""Numbers of the past where the record is odd: other intervals, new classes, tiers cut short."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from store.engines import open_writer
from store.forgetting import SNAPSHOTS
from store.history.asking import Period, QueryError
from store.history.incidents import incidents
from store.history.observed import share
from store.history.period_latency import latency_of
from store.history.series import ask
from store.history.uptime import uptimes
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
from tests.support.records import rows


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    in_no_hurry_to_the_disk(engine)
    yield engine
    engine.dispose()


def _every(interval_s: int, start_ms: int, end_ms: int) -> range:
    return range(start_ms, end_ms, interval_s * 1000)


def test_an_interval_that_was_changed_makes_no_time_unknown(store_url: str, writer: Engine) -> None:
    noon_ms, end_ms = START_MS + 12 * HOUR_MS, START_MS + DAY_MS
    taken = [odd_snapshot(at, 300, nodes=nodes(a="ok")) for at in _every(300, START_MS, noon_ms)]
    taken += [
        odd_snapshot(at, 100, nodes=nodes(a="ok")) for at in _every(100, noon_ms, end_ms + 1000)
    ]
    store(writer, taken)
    settle(writer)
    with reading(store_url) as connection:
        (uptime,) = uptimes(connection, SOURCE, ["a"], Period(START_MS, end_ms))
    assert (uptime.up_ms, uptime.down_ms, uptime.unknown_ms) == (DAY_MS, 0, 0)
    found = rows(store_url, "SELECT expected FROM rollup_periods WHERE tier = '1d'")
    assert found[0].expected == 12 * 12 + 12 * 36


def test_a_longer_interval_now_fills_no_gaps_of_the_time_before(
    store_url: str, writer: Engine
) -> None:
    # Every second snapshot is missing; then the interval becomes six times as long.
    change_ms, end_ms = START_MS + HOUR_MS, START_MS + 3 * HOUR_MS
    taken = [
        odd_snapshot(at, 100, {"latency": [5]}, queue={"queued": 1})
        for at in _every(200, START_MS, change_ms)
    ]
    taken += [
        odd_snapshot(at, 600, {"latency": [5]}, queue={"queued": 1})
        for at in _every(600, change_ms, end_ms)
    ]
    store(writer, taken)
    settle(writer)
    hour = Period(START_MS, change_ms)
    step_ms = 700_000  # no multiple of what roll-ups have: it is read from the snapshots
    with reading(store_url) as connection:
        answer = ask(connection, SOURCE, ["queue.queued", "latency.p99"], hour, step_ms, end_ms)
    used_ms = answer.period.end_ms - answer.period.start_ms
    assert answer.period.end_ms > change_ms
    # 18 of 100 s each, and the one of 600 s that is in the last step.
    wanted = (18 * 100_000 + 600_000) / used_ms
    assert [one.coverage for one in answer.series] == [pytest.approx(wanted, abs=1e-5)] * 2
    assert {one.tiers for one in answer.series} == {("snapshots",)}


def test_a_class_is_not_observed_before_it_was_configured(store_url: str, writer: Engine) -> None:
    end_ms = START_MS + 4 * HOUR_MS
    times = _every(600, START_MS, end_ms + 1)
    first_ms, last_ms = START_MS + 150 * MINUTE_MS, START_MS + 210 * MINUTE_MS
    store(
        writer,
        [
            odd_snapshot(
                at,
                600,
                {"old": [7], "new": [9]} if first_ms <= at < last_ms else {"old": [7]},
            )
            for at in times
        ],
    )
    settle(writer)
    period = Period(START_MS, end_ms)
    with reading(store_url) as connection:
        old, new = (latency_of(connection, SOURCE, key, period, end_ms) for key in ("old", "new"))
        before = latency_of(connection, SOURCE, "new", Period(START_MS, first_ms), end_ms)
        (series,) = ask(connection, SOURCE, ["new.p50"], period, 2 * HOUR_MS, end_ms).series
    assert old.interval is not None
    assert new.interval is not None
    assert (old.coverage, old.interval.histogram.count) == (1.0, 24)
    # Rows of hours can tell no finer: it was there from 02:30 to 03:30.
    assert new.interval.histogram.count == 6
    assert new.coverage == 0.5
    assert (before.interval, before.coverage) == (None, pytest.approx(0.0))
    assert series.columns["count"] == [None, 6]
    assert series.coverage <= 0.5


def test_a_step_over_what_was_deleted_is_refused_not_answered_in_part(
    store_url: str, writer: Engine
) -> None:
    end_ms = START_MS + 30 * HOUR_MS
    store(
        writer,
        [odd_snapshot(at, 60, queue={"queued": at % 7}) for at in _every(60, START_MS, end_ms + 1)],
    )
    settle(writer, {SNAPSHOTS: 4 * HOUR_MS, "5m": 20 * HOUR_MS, "1h": None, "1d": None})
    raw_from_ms, fine_from_ms = end_ms - 4 * HOUR_MS, end_ms - 20 * HOUR_MS
    minutes = {
        # The step that the begin of the period is in begins before it.
        raw_from_ms: 7,
        fine_from_ms: 35,
    }
    for since_ms, step_min in minutes.items():
        step_ms = step_min * MINUTE_MS
        assert since_ms % step_ms, "the test needs a step that begins in what was deleted"
        with reading(store_url) as connection:
            period = Period(since_ms, end_ms)
            with pytest.raises(QueryError, match="only multiples of"):
                ask(connection, SOURCE, ["queue.queued"], period, step_ms, end_ms)
            later = Period(since_ms + step_ms, end_ms)
            answer = ask(connection, SOURCE, ["queue.queued"], later, step_ms, end_ms)
        assert answer.series[0].columns["snapshots"][0] == step_min
        assert answer.period.start_ms > since_ms


def test_days_answer_where_the_hours_were_deleted(store_url: str, writer: Engine) -> None:
    # As a size limit does it: the days stay.
    end_ms = START_MS + 10 * DAY_MS
    store(
        writer,
        [
            odd_snapshot(at, 1800, {"latency": [1000]}, nodes=nodes(a="ok"), queue={"queued": 3})
            for at in _every(1800, START_MS, end_ms + 1)
        ],
    )
    settle(writer)
    kept = 3 * DAY_MS - 5 * HOUR_MS
    settle(writer, {SNAPSHOTS: DAY_MS, "5m": 2 * DAY_MS, "1h": kept, "1d": None})
    period = Period(START_MS + DAY_MS + HOUR_MS, START_MS + 3 * DAY_MS + HOUR_MS)
    with reading(store_url) as connection:
        answer = ask(connection, SOURCE, ["queue.queued", "latency.p50"], period, None, end_ms)
        latency = latency_of(connection, SOURCE, "latency", period, end_ms)
        (uptime,) = uptimes(connection, SOURCE, ["a"], period)
        with pytest.raises(QueryError, match="only multiples of 1d"):
            ask(connection, SOURCE, ["queue.queued"], period, HOUR_MS, end_ms)
    days = Period(START_MS + DAY_MS, START_MS + 4 * DAY_MS)
    assert (answer.step_ms, answer.period) == (DAY_MS, days)
    assert answer.series[0].columns["snapshots"] == [48, 48, 48]
    assert answer.series[1].columns["count"] == [48, 48, 48]
    assert latency.interval is not None
    assert (latency.period, latency.interval.histogram.count) == (days, 144)
    assert (uptime.period, uptime.up_ms) == (days, 3 * DAY_MS)


def test_a_day_stays_as_long_as_any_of_its_hours(store_url: str, writer: Engine) -> None:
    end_ms = START_MS + 4 * DAY_MS + 10 * HOUR_MS
    store(
        writer,
        [
            odd_snapshot(at, 1800, {"latency": [1000]}, queue={"queued": 3})
            for at in _every(1800, START_MS, end_ms + 1)
        ],
    )
    everything = dict.fromkeys((SNAPSHOTS, "5m", "1h", "1d"), 2 * DAY_MS)
    settle(writer, everything)
    # Hours are there from 10:00 of the third day on.
    period = Period(START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS)
    with reading(store_url) as connection:
        found = latency_of(connection, SOURCE, "latency", period, end_ms)
        for step_ms in (DAY_MS, 6 * HOUR_MS):
            answer = ask(connection, SOURCE, ["latency.p50"], period, step_ms, end_ms)
            assert answer.series[0].columns["count"][-1] == 48 * step_ms // DAY_MS
    assert found.interval is not None
    assert found.interval.histogram.count == 48
    tiers = rows(
        store_url, "SELECT DISTINCT tier, MIN(starts_at) AS since FROM rollup_latency GROUP BY tier"
    )
    # Whatever is longer than an hour goes as a whole.
    assert {row.tier: (row.since - START_MS) // HOUR_MS for row in tiers} == {
        "5m": 58,
        "30m": 58,
        "1h": 58,
        "2h": 58,
        "6h": 54,
        "1d": 48,
    }


def test_an_incident_of_thinned_times_was_seen_when_it_began(
    store_url: str, writer: Engine
) -> None:
    end_ms = START_MS + 30 * HOUR_MS
    bad_ms, good_ms = START_MS + 30 * MINUTE_MS, START_MS + 50 * MINUTE_MS
    store(
        writer,
        [
            odd_snapshot(at, 300, nodes=nodes(a="err" if bad_ms <= at < good_ms else "ok"))
            for at in _every(300, START_MS, end_ms + 1)
        ],
    )
    settle(writer, {SNAPSHOTS: HOUR_MS, "5m": 2 * HOUR_MS, "1h": None, "1d": None})
    with reading(store_url) as connection:
        (as_known,) = incidents(connection, SOURCE, Period(START_MS, good_ms))
        (over,) = incidents(connection, SOURCE, Period(START_MS, end_ms))
    # Of that hour only the first document is left; the change is a snapshot of its own.
    assert (as_known.started_at_ms, as_known.ended_at_ms) == (bad_ms, None)
    assert as_known.last_seen_ms >= as_known.started_at_ms
    assert (over.started_at_ms, over.last_seen_ms, over.ended_at_ms) == (
        bad_ms,
        good_ms - 5 * MINUTE_MS,
        good_ms,
    )


def test_an_incident_that_outlasts_the_record_of_changes_is_still_told(
    store_url: str, writer: Engine
) -> None:
    end_ms = START_MS + 5 * DAY_MS
    bad_ms = START_MS + DAY_MS

    def section(at: int) -> dict[str, dict[str, str]]:
        if at < bad_ms:
            return {"queue": {"status": "ok"}}
        return {"queue": {"status": "stale" if at < bad_ms + 2 * HOUR_MS else "error"}}

    def states(at: int) -> dict[str, str]:
        was_down = START_MS + HOUR_MS <= at < START_MS + 3 * HOUR_MS
        return {"a": "err" if at >= bad_ms else "ok", "b": "err" if was_down else "ok"}

    store(
        writer,
        [
            odd_snapshot(at, 1800, nodes=nodes(**states(at)), sections=section(at))
            for at in _every(1800, START_MS, end_ms + 1)
        ],
    )
    settle(writer, dict.fromkeys((SNAPSHOTS, "5m", "1h", "1d"), DAY_MS))
    last_day = Period(end_ms - DAY_MS, end_ms + 1)
    with reading(store_url) as connection:
        found = incidents(connection, SOURCE, last_day)
    assert [(one.name, one.status, one.started_at_ms) for one in found] == [
        ("a", "err", bad_ms),
        ("queue", "error", bad_ms),
    ]
    # Nothing else of that time is left, and when it is over nothing of it stays.
    changes = rows(store_url, "SELECT kind, name, to_status FROM status_changes ORDER BY taken_at")
    assert sorted(tuple(row) for row in changes) == [
        ("node", "a", "err"),
        ("section", "queue", "error"),
        ("section", "queue", "stale"),
    ]
    store(
        writer,
        [
            odd_snapshot(at, 1800, nodes=nodes(a="ok"), sections={"queue": {"status": "ok"}})
            for at in _every(1800, end_ms + HOUR_MS, end_ms + 4 * DAY_MS)
        ],
    )
    settle(writer, dict.fromkeys((SNAPSHOTS, "5m", "1h", "1d"), DAY_MS))
    assert rows(store_url, "SELECT * FROM status_changes") == []


def test_names_that_postgresql_cannot_hold_hold_up_nothing(store_url: str, writer: Engine) -> None:
    names = ["a\0b", "é.*\"' ,\n☃", "x" * 5000, "plain"]
    tests = [{"name": name, "variants": 2, "impressions": 7} for name in names]
    store(
        writer,
        [
            odd_snapshot(at, 300, experiments=tests, queue={"queued": 1})
            for at in _every(300, START_MS, START_MS + 2 * HOUR_MS)
        ],
    )
    assert roll_up(writer, SOURCE, 1000) > 23
    period = Period(START_MS, START_MS + HOUR_MS)
    with reading(store_url) as connection:
        metrics = ["experiments.é.*\"' ,\n☃.impressions", "experiments.plain.variants"]
        answer = ask(connection, SOURCE, metrics[1:], period, HOUR_MS, period.end_ms)
        odd = ask(connection, SOURCE, ["experiments.é*"], period, HOUR_MS, period.end_ms)
    assert answer.series[0].columns["last"] == [2]
    assert next(one.metric for one in odd.series) == metrics[0]


def test_a_count_may_have_the_name_of_a_figure(store_url: str, writer: Engine) -> None:
    state = {"distribution": 4, "schema": 5, "interval_s": 6}
    store(writer, [odd_snapshot(START_MS, state=state)])
    with reading(store_url) as connection:
        now_ms = START_MS + 30_000
        period = Period(START_MS, now_ms)
        answer = ask(connection, SOURCE, ["state.*"], period, 30_000, now_ms)
    assert {one.metric: one.columns["last"] for one in answer.series} == {
        "state.distribution": [4],
        "state.schema": [5],
        "state.interval_s": [6],
    }


def test_coverage_is_one_only_without_a_gap_and_none_only_without_a_snapshot() -> None:
    year_s = 365 * 86_400
    assert share(year_s * 1000, year_s * 1000) == 1
    assert share(year_s * 1000 + 30_000, year_s * 1000) == 1
    assert share((year_s - 1) * 1000, year_s * 1000) == 0.999999
    assert share(1000, year_s * 1000) == 0.000001
    assert share(0, year_s * 1000) == 0
    assert share(sum(1000 / 3 for _ in range(3 * 86_400)), 86_400_000) == 1
    assert share(1, 3) == 0.333333
