"""Upkeep as the daemon has it: what is kept and what is not, its thread, and its words."""

import logging
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from config.retention import Retention
from daemon.catching_up import CatchingUp
from daemon.upkeep import Upkeep
from migrations.upgrading import upgrade
from store.engines import open_writer
from tests.support.databases import PostgresServer
from tests.support.records import change, rows
from tests.support.upkeep_stores import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    SOURCE,
    START_MS,
    contents,
    every,
    fill,
)
from tests.support.waiting import wait_for

_FOREVER = Retention(snapshots_days="forever", five_minutes_days="forever", hours_days="forever")


@pytest.fixture
def writer(sqlite_url: str) -> Iterator[Engine]:
    engine = open_writer(sqlite_url)
    yield engine
    engine.dispose()


def _work_off(engine: Engine, retention: Retention) -> None:
    upkeep = Upkeep(engine, SOURCE, retention)
    while upkeep.work():
        pass


def _column(url: str, sql: str) -> list[int]:
    return [row[0] for row in rows(url, sql)]


def test_each_tier_is_kept_as_long_as_its_days_say(store_url: str) -> None:
    engine = open_writer(store_url)
    newest_ms = START_MS + 5 * DAY_MS + 7 * HOUR_MS + 20 * MINUTE_MS
    # No snapshot in the first quarter of any hour on the second day.
    times_ms = [
        at_ms
        for at_ms in every(600, START_MS, newest_ms + 1)
        if (at_ms - START_MS) // DAY_MS != 1 or at_ms % HOUR_MS >= HOUR_MS // 4
    ]
    fill(engine, times_ms, interval_s=600)
    _work_off(engine, Retention(snapshots_days=1, five_minutes_days=2, hours_days=4))
    engine.dispose()
    # Whole hours go: the newest is 20 minutes into one.
    raw_ms, fives_ms, hours_ms = (newest_ms - 20 * MINUTE_MS - days * DAY_MS for days in (1, 2, 4))
    kept_raw = [at_ms for at_ms in times_ms if at_ms >= raw_ms]
    for table in ("snapshots", "interval_histograms"):
        assert _column(store_url, f"SELECT taken_at FROM {table} ORDER BY 1") == kept_raw
    complete = [at_ms for at_ms in times_ms if at_ms < newest_ms]
    # The newest hour of all is not over: 20 minutes of it have passed.
    hours = sorted(
        {at_ms - at_ms % HOUR_MS for at_ms in complete if at_ms < newest_ms - 20 * 60_000}
    )
    found = {
        tier: _column(
            store_url, f"SELECT starts_at FROM rollup_periods WHERE tier = '{tier}' ORDER BY 1"
        )
        for tier in ("5m", "1h")
    }
    assert found["5m"] == [at_ms for at_ms in complete if at_ms >= fives_ms]
    assert found["1h"] == [at_ms for at_ms in hours if at_ms >= hours_ms]
    first_of_hours = {at_ms // HOUR_MS: at_ms for at_ms in reversed(complete)}.values()
    kept = {at_ms for at_ms in complete if at_ms >= fives_ms}
    kept |= {at_ms for at_ms in first_of_hours if hours_ms <= at_ms}
    # Where the next hour does not begin with one, the last answers for its beginning.
    last_of_hours = {at_ms // HOUR_MS: at_ms for at_ms in complete}
    kept |= {
        at_ms
        for hour, at_ms in last_of_hours.items()
        if hours_ms <= at_ms and (hour + 1) * HOUR_MS not in times_ms
    }
    assert _column(store_url, "SELECT taken_at FROM kept_snapshots ORDER BY 1") == sorted(kept)


def test_both_engines_end_with_the_same_rows(sqlite_url: str, postgres: PostgresServer) -> None:
    found = []
    for url in (sqlite_url, postgres.new_database()):
        upgrade(url)
        engine = open_writer(url)
        fill(engine, every(1200, START_MS, START_MS + 4 * DAY_MS), interval_s=1200)
        _work_off(engine, Retention(snapshots_days=1, five_minutes_days=2, hours_days=3))
        engine.dispose()
        found.append(contents(url))
    assert found[0] == found[1]
    assert [name for name, some in found[0].items() if not some and name != "latency_state"] == []


def test_what_is_kept_for_ever_is_never_deleted(store_url: str) -> None:
    engine = open_writer(store_url)
    years_ms = [START_MS + year * 366 * DAY_MS for year in range(8)]
    fill(engine, years_ms)
    _work_off(engine, _FOREVER)
    engine.dispose()
    assert _column(store_url, "SELECT taken_at FROM snapshots ORDER BY 1") == years_ms
    assert len(rows(store_url, "SELECT 1 FROM rollup_periods WHERE tier = '5m'")) == 7


def test_stopping_waits_for_no_more_than_the_piece_in_hand(writer: Engine, sqlite_url: str) -> None:
    fill(writer, every(30, START_MS, START_MS + DAY_MS // 2))
    upkeep = Upkeep(writer, SOURCE, _FOREVER)
    upkeep.start()
    made = "SELECT COUNT(*) FROM rollup_periods"
    wait_for(lambda: rows(sqlite_url, made)[0][0] > 3, "some periods")
    began_s = time.monotonic()
    assert upkeep.stop(patience_s=5)
    assert time.monotonic() - began_s < 1.5
    assert rows(sqlite_url, made)[0][0] < 144
    # What was made is whole, and the rest is made by the next one.
    _work_off(writer, _FOREVER)
    assert rows(sqlite_url, made)[0][0] == 143 + 11


def test_a_thread_goes_on_by_itself_until_all_is_done(writer: Engine, sqlite_url: str) -> None:
    fill(writer, every(60, START_MS, START_MS + 2 * HOUR_MS + 1), interval_s=60)
    upkeep = Upkeep(writer, SOURCE, _FOREVER)
    upkeep.start()
    made = "SELECT tier, COUNT(*) AS count FROM rollup_latency GROUP BY tier"
    wait_for(
        lambda: (
            {row.tier: row.count for row in rows(sqlite_url, made)}
            == {"5m": 24, "30m": 4, "1h": 2, "2h": 1}
        ),
        "all periods of two hours",
    )
    assert upkeep.stop(patience_s=5)


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said so far, and begin anew."""
    said = [record.getMessage() for record in caplog.records if record.name == "opsnap.daemon"]
    caplog.clear()
    return said


def test_a_broken_store_is_told_once_and_once_that_it_is_mended(
    writer: Engine, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(writer, every(60, START_MS, START_MS + HOUR_MS), interval_s=60)
    upkeep = Upkeep(writer, SOURCE, _FOREVER)
    assert upkeep.work()
    change(sqlite_url, "ALTER TABLE rollup_values RENAME TO elsewhere")
    assert [upkeep.work() for _ in range(3)] == [False] * 3
    (told,) = _said(caplog)
    assert told.startswith("upkeep of the store: broken: ")
    assert "rollup_values" in told
    change(sqlite_url, "ALTER TABLE elsewhere RENAME TO rollup_values")
    assert upkeep.work()
    assert upkeep.work()
    assert _said(caplog) == ["upkeep of the store: mended"]


def test_what_nobody_foresaw_is_told_once_and_nothing_is_lost_meanwhile(
    writer: Engine, sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(writer, every(60, START_MS, START_MS + 6 * MINUTE_MS), interval_s=60)
    taken_at, sound = rows(
        sqlite_url, "SELECT MIN(taken_at), errors FROM interval_histograms WHERE count > 0"
    )[0]
    # A number that is none: SQLite lets it pass.
    write = f"UPDATE interval_histograms SET errors = '{{}}' WHERE taken_at = {taken_at}"
    change(sqlite_url, write.format("none"))
    before = contents(sqlite_url)
    upkeep = Upkeep(writer, SOURCE, Retention(snapshots_days=1))
    assert [upkeep.work() for _ in range(3)] == [False] * 3
    assert _said(caplog) == ["upkeep of the store: broken in a way that is not foreseen"]
    assert contents(sqlite_url) == before
    change(sqlite_url, write.format(sound))
    assert upkeep.work()
    assert _said(caplog) == ["upkeep of the store: mended"]


def test_catching_up_is_told_now_and_then_and_when_it_is_done(
    writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fill(writer, every(60, START_MS, START_MS + HOUR_MS + 1), interval_s=60)
    _work_off(writer, _FOREVER)
    now_s = [1000.0]
    catching_up = CatchingUp(writer, SOURCE, lambda: now_s[0])

    def note_for(seconds: int) -> list[str]:
        for _ in range(seconds):
            now_s[0] += 1
            catching_up.note(did=True)
        return _said(caplog)

    # A few seconds of work are not worth a line, however often they come.
    for _ in range(5):
        assert note_for(20) == []
        catching_up.note(did=False)
    (told,) = note_for(60)
    assert told == (
        "upkeep: catching up, 31 piece(s) so far: rolled up until 2026-01-05 01:00:00 UTC, "
        "newest snapshot 2026-01-05 01:00:00 UTC"
    )
    assert len(note_for(1800)) == 3
    catching_up.note(did=False)
    catching_up.note(did=False)
    assert _said(caplog) == ["upkeep: caught up: 1860 piece(s) in 31.0 min"]


def test_one_snapshot_of_a_wrong_clock_makes_nothing_old(writer: Engine, sqlite_url: str) -> None:
    now_ms = START_MS + 3 * DAY_MS
    fill(writer, every(600, START_MS, now_ms))
    # A machine that began years ahead, until its clock was set.
    fill(writer, every(600, now_ms + 7000 * DAY_MS, now_ms + 7000 * DAY_MS + 1))
    upkeep = Upkeep(writer, SOURCE, Retention(snapshots_days=1), lambda: now_ms)
    while upkeep.work():
        pass
    left = _column(sqlite_url, "SELECT taken_at FROM snapshots ORDER BY taken_at")
    assert left == [*every(600, now_ms - DAY_MS, now_ms), now_ms + 7000 * DAY_MS]
    periods = _column(sqlite_url, "SELECT COUNT(*) FROM rollup_periods WHERE tier = '1h'")
    assert periods == [72]
