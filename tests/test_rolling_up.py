"""Roll-ups and what is deleted once they are stored, against the raw rows they stand for."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from migrations.upgrading import upgrade
from store.codec import encode
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget, give_space_back
from store.histograms import LatencyHistogram
from store.intervals import LatencyInterval
from store.leaves import numeric_leaves
from store.rolling_up import roll_up
from store.writing import Snapshot, commit
from tests.support.properties import unhurried
from tests.support.records import rows

START_MS = 1_795_132_800_000  # 2026-11-20T00:00:00Z: a day, an hour and five minutes begin
INTERVAL_MS = 30_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
KEPT = {SNAPSHOTS: 1, "5m": None, "1h": None, "1d": None}


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    yield engine
    engine.dispose()


def _document(number: int, **sections: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "interval_s": INTERVAL_MS // 1000,
        "ok": True,
        "nodes": [{"id": "n.1", "status": "ok", "rtt_ms": number + 0.1}],
        "queue": {"queued": number, "depth_label": "deep", "oldest_queued_s": None},
        "latency": {"p95": number / 7, "distribution": {"bounds_ms": [1, 2], "counts": [number]}},
        "sections": {
            name: {"status": sections.get(name, "ok"), "took_ms": 1.5}
            for name in ("nodes", "queue", "latency")
        },
    }


def _interval(durations_us: Sequence[int]) -> LatencyInterval:
    interval = LatencyInterval()
    interval.histogram.record_all(durations_us, errors=len(durations_us) // 3)
    if durations_us:
        interval.note_time(START_MS, START_MS + 1)
    return interval


def _take(engine: Engine, slot: int, durations_us: Sequence[int] = (), **sections: str) -> None:
    taken_at_ms = START_MS + slot * INTERVAL_MS
    text = encode(_document(slot, **sections))
    intervals = {"latency": _interval(durations_us)}
    commit(engine, Snapshot("one", taken_at_ms, INTERVAL_MS, text, intervals))


def _tables(url: str) -> dict[str, list[Any]]:
    keys = {
        "rollup_periods": "tier, starts_at",
        "rollup_values": "tier, metric, starts_at",
        "rollup_latency": "tier, class_key, starts_at",
        "rollup_progress": "tier",
        "kept_snapshots": "taken_at",
        "metrics": "metric",
    }
    return {
        name: [tuple(row) for row in rows(url, f"SELECT * FROM {name} ORDER BY {key}")]
        for name, key in keys.items()
    }


def test_leaves_are_the_numbers_that_were_measured_for_this_snapshot() -> None:
    document = _document(5, queue="stale")
    assert numeric_leaves(document) == {
        "nodes.n.1.rtt_ms": 5.1,
        "nodes.n.1.up": 1,
        "latency.p95": 5 / 7,
        "sections.nodes.took_ms": 1.5,
        "sections.queue.took_ms": 1.5,
        "sections.latency.took_ms": 1.5,
    }


def test_a_period_is_rolled_up_when_it_is_complete_and_once(store_url: str, writer: Engine) -> None:
    for slot in range(10):
        _take(writer, slot, [1000 * (slot + 1)])
    assert roll_up(writer, "one", 100) == 0
    _take(writer, 10)
    assert roll_up(writer, "one", 100) == 1
    assert roll_up(writer, "one", 100) == 0
    (period,) = rows(store_url, "SELECT tier, starts_at, snapshots, expected FROM rollup_periods")
    assert tuple(period) == ("5m", START_MS, 10, 10)
    (value,) = rows(
        store_url,
        "SELECT count, min, max, total, last FROM rollup_values NATURAL JOIN metrics"
        " WHERE path = 'queue.queued'",
    )
    assert tuple(value) == (10, 0, 9, 45, 9)
    (histogram,) = rows(store_url, "SELECT * FROM rollup_latency")
    merged = LatencyHistogram.decode(bytes(histogram.histogram))
    assert (histogram.count, histogram.min_us, histogram.max_us) == (10, 1000, 10_000)
    assert merged.count == 10
    assert (histogram.p50_us, histogram.p999_us) == (5003, 10_000)


def test_a_gap_is_no_period_and_a_part_says_what_it_lacks(store_url: str, writer: Engine) -> None:
    for slot in (0, 1, 2, 25, 26, 60):
        _take(writer, slot)
    # Two of 5 minutes, and the half hour.
    assert roll_up(writer, "one", 100) == 3
    found = rows(store_url, "SELECT starts_at, snapshots, expected FROM rollup_periods")
    assert [tuple(row) for row in found] == [
        (START_MS, 3, 10),
        (START_MS + 2 * 300_000, 2, 10),
    ]


def test_carried_values_are_no_measurements(store_url: str, writer: Engine) -> None:
    for slot in range(11):
        _take(writer, slot, queue="stale" if slot in (3, 4) else "ok")
    roll_up(writer, "one", 100)
    (value,) = rows(
        store_url,
        "SELECT count, total, last FROM rollup_values NATURAL JOIN metrics"
        " WHERE path = 'queue.queued'",
    )
    assert tuple(value) == (8, 45 - 7, 9)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [f"sqlite:///{tmp_path_factory.mktemp('stores')}/{{}}.db"]


_SLOTS = st.lists(
    st.one_of(st.integers(0, 400), st.integers(0, 6000)), min_size=1, max_size=40, unique=True
).map(sorted)
_DURATIONS = st.lists(st.integers(1, 4_000_000_000), max_size=4)


@unhurried
@given(slots=_SLOTS, data=st.data())
def test_roll_ups_equal_the_raw_rows_however_they_were_made(
    templates: list[str], slots: list[int], data: st.DataObject
) -> None:
    template = templates[0]
    urls = [template.format(f"{len(templates)}-{which}") for which in ("early", "late")]
    templates.append("")
    durations = {slot: data.draw(_DURATIONS, label=f"durations of {slot}") for slot in slots}
    found = []
    for url, is_early in zip(urls, (True, False), strict=True):
        upgrade(url)
        engine = open_writer(url)
        for slot in slots:
            _take(engine, slot, durations[slot])
            if is_early:
                roll_up(engine, "one", data.draw(st.integers(0, 3), label="periods"))
        while roll_up(engine, "one", 5):
            pass
        found.append(_tables(url))
        engine.dispose()
    assert found[0] == found[1]
    newest_ms = START_MS + slots[-1] * INTERVAL_MS
    for tier, step_ms in (("5m", 300_000), ("1h", HOUR_MS), ("1d", DAY_MS)):
        complete: dict[int, list[int]] = {}
        for slot in slots:
            starts_at_ms = START_MS + slot * INTERVAL_MS // step_ms * step_ms
            if starts_at_ms + step_ms <= newest_ms:
                complete.setdefault(starts_at_ms, []).append(slot)
        values = {
            row.starts_at: (row.count, row.min, row.max, row.total, row.last)
            for row in rows(
                urls[0],
                "SELECT v.* FROM rollup_values v NATURAL JOIN metrics"
                f" WHERE path = 'latency.p95' AND tier = '{tier}'",
            )
        }
        assert values == {
            at: (
                len(some),
                some[0] / 7,
                some[-1] / 7,
                math.fsum(slot / 7 for slot in some),
                some[-1] / 7,
            )
            for at, some in complete.items()
        }
        for row in rows(urls[0], f"SELECT * FROM rollup_latency WHERE tier = '{tier}'"):
            taken = [us for slot in complete[row.starts_at] for us in durations[slot]]
            whole = _interval(taken).histogram
            assert (row.count, row.min_us, row.max_us) == (len(taken), whole.min_us, whole.max_us)
            assert bytes(row.histogram) == whole.encode()


def test_nothing_is_deleted_before_its_roll_ups_are_stored(store_url: str, writer: Engine) -> None:
    for slot in range(0, 300, 10):
        _take(writer, slot, [1000])
    assert not forget(writer, "one", KEPT, HOUR_MS)
    assert len(rows(store_url, "SELECT 1 FROM snapshots")) == 30
    while roll_up(writer, "one", 10):
        pass
    # Of the day nothing is complete, so its histogram still needs the hours, not the snapshots.
    before = _tables(store_url)
    while forget(writer, "one", KEPT, HOUR_MS):
        pass
    assert _tables(store_url) == before


def test_what_is_rolled_up_goes_at_its_time_and_gives_its_space_back(
    sqlite_url: str,
) -> None:
    upgrade(sqlite_url)
    engine = open_writer(sqlite_url)
    for slot in range(2880, 5800, 4):
        _take(engine, slot, [1000])
    while roll_up(engine, "one", 100):
        pass
    assert rows(sqlite_url, "PRAGMA freelist_count")[0][0] < 10
    while forget(engine, "one", {**KEPT, SNAPSHOTS: HOUR_MS}, 6 * HOUR_MS):
        pass
    (free,) = rows(sqlite_url, "PRAGMA freelist_count")[0]
    assert free > 50
    give_space_back(engine, 40)
    assert rows(sqlite_url, "PRAGMA freelist_count")[0][0] == free - 40
    give_space_back(engine, 10_000)
    assert rows(sqlite_url, "PRAGMA freelist_count")[0][0] == 0
    (left,) = rows(sqlite_url, "SELECT MIN(taken_at) FROM snapshots")[0]
    # The newest is slot 5796, at 00:18 of the third day: kept is from 23:18, and whole hours.
    assert left == START_MS + 47 * HOUR_MS
    assert len(rows(sqlite_url, "SELECT 1 FROM rollup_periods WHERE tier = '1h'")) == 24
    engine.dispose()
