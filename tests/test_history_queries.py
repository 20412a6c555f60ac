"""Questions about the past, answered from tiers, against everything that was ever recorded."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from migrations.upgrading import upgrade
from store.engines import open_reader, open_writer
from store.histograms import LatencyHistogram
from store.history.asking import Period, QueryError
from store.history.period_latency import latency_of
from store.history.series import MOST_POINTS, ask
from store.history.uptime import daily_uptimes, uptimes
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from store.writing import add_all
from tests.support.databases import in_no_hurry_to_the_disk
from tests.support.long_record import (
    DAYS,
    INTERVAL_MS,
    SOURCE,
    START_MS,
    LongRecord,
    make,
    snapshot_of,
)
from tests.support.properties import sparing

FINE_FROM_DAY, RAW_FROM_DAY = DAYS - 5, DAYS - 1
Stored = tuple[Connection, LongRecord]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    if request.param == "sqlite":
        url = f"sqlite:///{Path(tmp_path_factory.mktemp('long'))}/store.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    upgrade(url)
    writer = open_writer(url)
    in_no_hurry_to_the_disk(writer)
    record = make(writer)
    writer.dispose()
    reader = open_reader(url, limit_s=None)
    with reader.connect() as connection:
        yield connection, record
    reader.dispose()


def _periods() -> st.SearchStrategy[Period]:
    end_ms = START_MS + DAYS * DAY_MS + HOUR_MS
    moments = st.one_of(
        st.integers(START_MS - DAY_MS, end_ms),
        st.integers(0, DAYS * 96).map(lambda slot: START_MS + slot * INTERVAL_MS),
        st.integers(0, DAYS).map(lambda day: START_MS + day * DAY_MS),
    )
    pairs = st.tuples(moments, moments).filter(lambda pair: pair[0] != pair[1])
    return pairs.map(lambda pair: Period(min(pair), max(pair)))


def _histogram(record: LongRecord, start_ms: int, end_ms: int) -> LatencyHistogram:
    whole = LatencyHistogram()
    for one in record.within(start_ms, end_ms):
        whole.record_all(one.durations_us, errors=one.errors)
    return whole


@sparing
@given(period=_periods())
def test_percentiles_of_any_period_are_those_of_all_its_requests(
    stored: Stored, period: Period
) -> None:
    connection, record = stored
    found = latency_of(connection, SOURCE, "latency", period, record.newest_ms)
    whole = _histogram(record, found.period.start_ms, found.period.end_ms)
    if found.interval is None:
        assert not record.within(found.period.start_ms, found.period.end_ms)
        return
    merged = found.interval.histogram
    assert (merged.count, merged.errors, merged.min_us, merged.max_us) == (
        whole.count,
        whole.errors,
        whole.min_us,
        whole.max_us,
    )
    assert merged.encode() == whole.encode()


@sparing
@given(period=_periods())
def test_a_period_is_widened_no_further_than_to_what_is_stored(
    stored: Stored, period: Period
) -> None:
    connection, record = stored
    used = latency_of(connection, SOURCE, "latency", period, record.newest_ms).period
    assert used.start_ms <= period.start_ms
    assert used.end_ms >= period.end_ms
    for asked_ms, used_ms in (
        (period.start_ms, used.start_ms),
        (period.end_ms, used.end_ms),
    ):
        if asked_ms >= START_MS + RAW_FROM_DAY * DAY_MS:
            assert used_ms == asked_ms
        elif asked_ms >= START_MS + FINE_FROM_DAY * DAY_MS:
            assert abs(used_ms - asked_ms) < 5 * MINUTE_MS
        else:
            assert abs(used_ms - asked_ms) < HOUR_MS


_STEPS = st.sampled_from([None, *(n * HOUR_MS for n in (1, 2, 3, 6, 12, 24, 48, 168))])


@sparing
@given(period=_periods(), step_ms=_STEPS)
def test_each_point_of_a_series_is_what_the_snapshots_of_its_step_had(
    stored: Stored, period: Period, step_ms: int | None
) -> None:
    connection, record = stored
    answer = ask(connection, SOURCE, ["queue.queued"], period, step_ms, record.newest_ms)
    (series,) = answer.series
    assert step_ms in (None, answer.step_ms)
    assert answer.period.start_ms <= period.start_ms < answer.period.start_ms + answer.step_ms
    assert answer.period.end_ms - answer.step_ms < period.end_ms <= answer.period.end_ms
    for index, at_ms in enumerate(answer.times_ms):
        point = {name: column[index] for name, column in series.columns.items()}
        had = [
            one.queued
            for one in record.within(at_ms, at_ms + answer.step_ms)
            if one.queued is not None
        ]
        assert point == {
            "min": min(had, default=None),
            "mean": min(max(math.fsum(had) / len(had), min(had)), max(had)) if had else None,
            "max": max(had, default=None),
            "last": had[-1] if had else None,
            "snapshots": len(had),
        }
    assert 0 <= series.coverage <= 1


@sparing
@given(
    period=_periods(),
    step_ms=_STEPS,
    name=st.sampled_from(["p50", "p75", "p90", "p95", "p99", "p99.9", "max"]),
)
def test_each_point_of_a_percentile_is_that_of_all_requests_of_its_step(
    stored: Stored, period: Period, step_ms: int | None, name: str
) -> None:
    connection, record = stored
    answer = ask(connection, SOURCE, [f"latency.{name}"], period, step_ms, record.newest_ms)
    (series,) = answer.series
    for index, at_ms in enumerate(answer.times_ms):
        point = {key: column[index] for key, column in series.columns.items()}
        taken = record.within(at_ms, at_ms + answer.step_ms)
        whole = _histogram(record, at_ms, at_ms + answer.step_ms)
        percentile = 100 if name == "max" else float(name[1:])
        (us,) = whole.percentiles_us([percentile])
        us = whole.max_us if name == "max" else us
        assert point == {
            "value": None if us is None else us / 1000,
            "count": whole.count if taken else None,
            "errors": whole.errors if taken else None,
        }


def test_coverage_is_the_share_of_snapshots_that_are_there(stored: Stored) -> None:
    connection, record = stored
    for first_day, days in ((0, 1), (0, DAYS), (3, 9), (DAYS - 1, 1)):
        period = Period(START_MS + first_day * DAY_MS, START_MS + (first_day + days) * DAY_MS)
        taken = record.within(period.start_ms, period.end_ms)
        expected = pytest.approx(len(taken) * INTERVAL_MS / period.length_ms, abs=2e-6)
        now_ms = period.end_ms
        assert latency_of(connection, SOURCE, "latency", period, now_ms).coverage == expected
        (percentile, values) = ask(
            connection, SOURCE, ["latency.p50", "queue.queued"], period, None, now_ms
        ).series
        assert percentile.coverage == expected
        known = [one for one in taken if one.queued is not None]
        assert values.coverage == pytest.approx(
            len(known) * INTERVAL_MS / period.length_ms, abs=2e-6
        )


def test_what_is_to_come_is_not_missing(stored: Stored) -> None:
    connection, record = stored
    now_ms = record.newest_ms + INTERVAL_MS
    period = Period(record.newest_ms, now_ms + DAY_MS)
    assert latency_of(connection, SOURCE, "latency", period, now_ms).coverage == 1


@sparing
@given(period=_periods())
def test_uptime_is_up_down_and_unknown_and_together_the_whole_period(
    stored: Stored, period: Period
) -> None:
    connection, record = stored
    hour = Period(
        period.start_ms // HOUR_MS * HOUR_MS,
        max(-(-period.end_ms // HOUR_MS), period.start_ms // HOUR_MS + 1) * HOUR_MS,
    )
    (uptime,) = uptimes(connection, SOURCE, ["n.1"], hour)
    taken = record.within(hour.start_ms, hour.end_ms)
    down = sum(one.node_status == "err" for one in taken)
    assert (uptime.up_ms, uptime.down_ms) == (
        (len(taken) - down) * INTERVAL_MS,
        down * INTERVAL_MS,
    )
    assert uptime.up_ms + uptime.down_ms + uptime.unknown_ms == hour.length_ms
    days = daily_uptimes(connection, SOURCE, ["n.1"], hour)["n.1"]
    assert sum(day.period.length_ms for day in days) == hour.length_ms
    for name in ("up_ms", "down_ms", "unknown_ms"):
        assert sum(getattr(day, name) for day in days) == getattr(uptime, name)


def test_a_step_that_cannot_be_answered_is_refused_with_what_can(stored: Stored) -> None:
    connection, record = stored
    year = Period(START_MS - 365 * DAY_MS, record.newest_ms)
    recent = Period(record.newest_ms - DAY_MS, record.newest_ms)
    for period, step_ms, category, words in (
        (recent, MINUTE_MS, "too_fine", "every 900 s"),
        (year, 90 * MINUTE_MS, "too_fine", "multiples of 1h"),
        (year, HOUR_MS, "too_many_points", f"more than {MOST_POINTS}; expected a step of 7200 s"),
    ):
        with pytest.raises(QueryError, match=words) as refused:
            ask(connection, SOURCE, ["queue.queued"], period, step_ms, record.newest_ms)
        assert (refused.value.parameter, refused.value.category) == ("step", category)


def test_before_a_young_record_began_there_is_a_gap_and_nothing_coarser(store_url: str) -> None:
    writer = open_writer(store_url)
    taken = [snapshot_of(START_MS + slot * INTERVAL_MS, queued=slot) for slot in range(7)]
    with writer.begin() as connection:
        add_all(connection, taken)
    while roll_up(writer, SOURCE, 100):
        pass
    writer.dispose()
    reader = open_reader(store_url)
    end_ms = START_MS + 7 * INTERVAL_MS
    with reader.connect() as connection:
        period = Period(end_ms - DAY_MS, end_ms)
        answer = ask(connection, SOURCE, ["queue.queued"], period, None, end_ms)
        finest = ask(connection, SOURCE, ["queue.queued"], period, INTERVAL_MS, end_ms)
    reader.dispose()
    assert answer.step_ms == INTERVAL_MS
    assert answer.series == finest.series
    assert answer.series[0].columns["last"] == [None] * 89 + list(range(7))
    assert answer.series[0].coverage == pytest.approx(7 / 96, abs=1e-6)


def test_what_was_never_recorded_is_an_error_and_no_empty_series(stored: Stored) -> None:
    connection, record = stored
    period = Period(record.newest_ms - DAY_MS, record.newest_ms)
    for metric in ("queue.running", "latency.p98", "other.p99", "*.nothing", ""):
        with pytest.raises(QueryError) as refused:
            ask(connection, SOURCE, [metric], period, None, record.newest_ms)
        assert refused.value.category == "unknown_metric"
    with pytest.raises(QueryError) as refused:
        latency_of(connection, SOURCE, "other", period, record.newest_ms)
    assert refused.value.category == "unknown_class"


def test_a_star_stands_for_any_part(stored: Stored) -> None:
    connection, record = stored
    period = Period(record.newest_ms - DAY_MS, record.newest_ms)
    answer = ask(connection, SOURCE, ["nodes.*.up", "latency.p9*"], period, None, record.newest_ms)
    assert [one.metric for one in answer.series] == [
        "nodes.n.1.up",
        "latency.p90",
        "latency.p95",
        "latency.p99",
        "latency.p99.9",
    ]
