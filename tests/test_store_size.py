"""How large the store is, and what goes when it may not be larger: the finest first."""

import logging
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from config.retention import Retention
from daemon.checking import Finding, check_sources
from daemon.upkeep import Upkeep
from migrations.upgrading import upgrade
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.size import SETTLES_S, StoreSize, count_anew, size_of
from tests.support.configuring import bottube_tree, load_tree
from tests.support.databases import PostgresServer
from tests.support.records import change, rows
from tests.support.upkeep_stores import DAY_MS, HOUR_MS, SOURCE, START_MS, every, fill

MB = 1_000_000
_FOREVER: dict[str, Any] = {
    "snapshots_days": "forever",
    "five_minutes_days": "forever",
    "hours_days": "forever",
}


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_writer(sqlite_url: str) -> Iterator[Engine]:
    engine = open_writer(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    url = postgres.new_database()
    upgrade(url)
    return url


def _work_off(engine: Engine, retention: Retention) -> Upkeep:
    """Work until there is nothing to do, and still nothing when what was deleted has settled."""
    upkeep = Upkeep(engine, SOURCE, retention)
    while any(_again_after(upkeep, wait_s) for wait_s in (0, SETTLES_S[engine.dialect.name])):
        pass
    return upkeep


def _again_after(upkeep: Upkeep, wait_s: float) -> bool:
    time.sleep(wait_s)
    return upkeep.work()


def _settled(engine: Engine) -> StoreSize:
    time.sleep(SETTLES_S[engine.dialect.name])
    return size_of(engine)


def _in_use(engine: Engine) -> int:
    in_use = _settled(engine).in_use
    assert in_use is not None
    return in_use


def _oldest(url: str, tier: str = SNAPSHOTS, source: str = SOURCE) -> int:
    column, table, more = "starts_at", "rollup_periods", f"AND tier = '{tier}'"
    if tier == SNAPSHOTS:
        column, table, more = "taken_at", "snapshots", ""
    sql = f"SELECT MIN({column}) FROM {table} WHERE source = '{source}' {more}"
    oldest: int = rows(url, sql)[0][0]
    return oldest


def _packed_bytes(url: str, tmp_path: Path) -> int:
    """Return how large the store is when its engine has packed it as tightly as it can."""
    if url.startswith("sqlite"):
        packed = tmp_path / "packed.db"
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"VACUUM INTO '{packed}'"))
        engine.dispose()
        return packed.stat().st_size
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM FULL"))
    engine.dispose()
    tables = "SELECT SUM(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
    return int(rows(url, tables)[0][0])


def _said(caplog: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [one.getMessage() for one in caplog.records if words in one.getMessage()]


def test_what_is_in_use_is_what_the_store_would_take_if_it_was_packed_anew(
    store_url: str, writer: Engine, tmp_path: Path
) -> None:
    fill(writer, every(30, START_MS, START_MS + DAY_MS), padding=2000)
    _work_off(writer, Retention(**_FOREVER))
    whole = _settled(writer)
    while forget(writer, SOURCE, {SNAPSHOTS: 4 * HOUR_MS}, HOUR_MS):
        pass
    after = _settled(writer)
    assert whole.in_use is not None
    assert after.in_use is not None
    # What was deleted counts at once, though its room is still the file's: nobody gave it back.
    assert after.in_use < whole.in_use / 2
    assert after.on_disk >= whole.on_disk
    # In a store this small the pages that every table has, also an empty one, are some of it.
    assert after.in_use == pytest.approx(_packed_bytes(store_url, tmp_path), rel=0.2)


def test_counters_that_postgresql_lost_are_unknown_until_it_has_counted_anew(
    postgres_url: str,
) -> None:
    engine = open_writer(postgres_url)
    fill(engine, every(300, START_MS, START_MS + DAY_MS), interval_s=300, padding=2000)
    before = _in_use(engine)
    # As a crash does it: the counters begin at 0.
    change(postgres_url, "SELECT pg_stat_reset()")
    assert _settled(engine).in_use is None
    count_anew(engine)
    assert _in_use(engine) == pytest.approx(before, rel=0.02)
    engine.dispose()


def test_the_oldest_snapshots_go_first_and_no_more_than_need_be(
    store_url: str, writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fill(writer, every(30, START_MS, START_MS + 6 * HOUR_MS + 1), padding=3000)
    _work_off(writer, Retention(**_FOREVER))
    before = _in_use(writer)
    periods = rows(store_url, "SELECT * FROM rollup_periods ORDER BY tier, starts_at")
    max_mb = before // MB - 1
    _work_off(writer, Retention(**_FOREVER, max_mb=max_mb))
    after = _in_use(writer)
    assert after <= max_mb * MB
    # Whole hours went, 120 snapshots of 3 KB and more each, and with one of them less it was over.
    gone_ms = _oldest(store_url) - START_MS
    assert gone_ms % HOUR_MS == 0
    an_hour = (before - after) * HOUR_MS / gone_ms
    assert an_hour > 120 * 3000
    # PostgreSQL's estimate is not quite even.
    assert after + 1.15 * an_hour > max_mb * MB
    assert rows(store_url, "SELECT * FROM rollup_periods ORDER BY tier, starts_at") == periods
    oldest = "SELECT MIN(taken_at) FROM interval_histograms"
    assert rows(store_url, oldest)[0][0] == _oldest(store_url)
    (told,) = _said(caplog, "max_mb")
    assert told.endswith(f"more than max_mb = {max_mb}: shortening, the oldest snapshots go")


def test_only_the_daemons_own_source_is_shortened(sqlite_url: str, sqlite_writer: Engine) -> None:
    for source in (SOURCE, "another"):
        times_ms = every(60, START_MS, START_MS + 8 * HOUR_MS)
        fill(sqlite_writer, times_ms, interval_s=60, source=source, padding=4000)
    _work_off(sqlite_writer, Retention(**_FOREVER, max_mb=3))
    assert _oldest(sqlite_url) > START_MS
    assert _oldest(sqlite_url, source="another") == START_MS


def _first_left(times_ms: Iterable[int], since_ms: int) -> int:
    """Return the first of `times_ms` that stays when whole hours before `since_ms` go."""
    return min(at_ms for at_ms in times_ms if at_ms >= since_ms - since_ms % HOUR_MS)


def test_after_snapshots_the_roll_ups_go_finest_first_and_never_all_of_them(
    sqlite_url: str, sqlite_writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    end_ms = START_MS + 45 * DAY_MS
    times_ms = every(12 * 3600, START_MS, end_ms + 1)
    fill(sqlite_writer, times_ms, interval_s=3600, padding=40_000)
    _work_off(sqlite_writer, Retention(**_FOREVER))
    # Less than what has to stay takes: documents of 31 days, 2 a day, are more than 1 MB of it.
    upkeep = _work_off(sqlite_writer, Retention(**_FOREVER, max_mb=1))
    # The newest one, and the hour of the last period that is complete.
    assert _oldest(sqlite_url) == times_ms[-2]
    assert _oldest(sqlite_url, "5m") == _first_left(times_ms, end_ms - 2 * DAY_MS)
    assert _oldest(sqlite_url, "1h") == _first_left(times_ms, end_ms - 31 * DAY_MS)
    assert _oldest(sqlite_url, "1d") == end_ms - 31 * DAY_MS
    told = [line.split(": ", 1)[1] for line in _said(caplog, "max_mb")]
    *begun, obstacle = (line.split(": ")[-1] for line in told)
    assert begun == [
        "shortening, the oldest snapshots go",
        "shortening, the oldest roll-ups of 5 minutes go",
        "shortening, the oldest roll-ups of hours go",
        "shortening, the oldest roll-ups of days go",
    ]
    assert obstacle.endswith("and nothing is left that could be shortened")
    # It is said once, however often it is tried.
    caplog.clear()
    assert not upkeep.work()
    assert not upkeep.work()
    assert _said(caplog, "max_mb") == []


def test_a_coarser_tier_stays_whole_as_long_as_a_finer_one_can_give(
    sqlite_url: str, sqlite_writer: Engine
) -> None:
    # Situation: a document of each quarter of an hour is most of the store.
    times_ms = every(900, START_MS, START_MS + 6 * DAY_MS)
    fill(sqlite_writer, times_ms, interval_s=900, padding=6000)
    _work_off(sqlite_writer, Retention(**_FOREVER))
    hours = rows(sqlite_url, "SELECT * FROM rollup_periods WHERE tier IN ('1h', '1d')")
    _work_off(sqlite_writer, Retention(**_FOREVER, max_mb=2))
    assert _in_use(sqlite_writer) <= 2 * MB
    assert _oldest(sqlite_url) == _first_left(times_ms, times_ms[-1] - 2 * HOUR_MS)
    assert START_MS < _oldest(sqlite_url, "5m") < times_ms[-1] - 2 * DAY_MS
    assert rows(sqlite_url, "SELECT * FROM rollup_periods WHERE tier IN ('1h', '1d')") == hours


def test_it_is_told_when_every_tier_is_as_long_again_as_it_should_be(
    sqlite_url: str, sqlite_writer: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    retention = Retention(snapshots_days=1, five_minutes_days=90, hours_days=90, max_mb=2)
    day_ms = START_MS + DAY_MS
    fill(sqlite_writer, every(60, START_MS, day_ms), interval_s=60, padding=2000)
    upkeep = _work_off(sqlite_writer, retention)
    assert _oldest(sqlite_url) > START_MS
    # Half a day of small ones later some of the day is still missing.
    for hours in (12, 30):
        assert len(_said(caplog, "max_mb")) == 1
        begin_ms = rows(sqlite_url, "SELECT MAX(taken_at) FROM snapshots")[0][0] + 60_000
        fill(sqlite_writer, every(60, begin_ms, day_ms + hours * HOUR_MS), interval_s=60)
        while upkeep.work():
            pass
    told = _said(caplog, "max_mb")
    assert told[1:] == ["store: every tier is as long again as it is to be kept, within max_mb"]
    assert _oldest(sqlite_url) == day_ms + 30 * HOUR_MS - DAY_MS - HOUR_MS


def _findings(tmp_path: Path, url: str, retention: dict[str, Any]) -> dict[str, Finding]:
    tree = bottube_tree(store_url=url, observed_url="")
    for section in ("observed", "state", "queue", "outcomes", "experiments", "pipeline"):
        del tree[section]
    tree["store"]["source"] = SOURCE
    tree["retention"] = retention
    config = load_tree(tmp_path / "opsnap.toml", tree)
    return {finding.source.strip(): finding for finding in check_sources(config)}


def test_check_tells_how_large_the_store_is_and_how_far_back_each_tier_reaches(
    store_url: str, writer: Engine, tmp_path: Path
) -> None:
    fill(writer, every(1800, START_MS, START_MS + 3 * DAY_MS), interval_s=1800)
    retention = {"snapshots_days": 1, "five_minutes_days": 2}
    _work_off(writer, Retention(**retention))
    in_use = _in_use(writer)
    found = _findings(tmp_path, store_url, retention)
    assert f"{in_use / MB:.1f} MB; " in found["size"].detail
    assert found["snapshots"].detail == ("from 2026-01-06 23:00:00 UTC on: 1.0 days, kept 1.0 days")
    assert found["5m"].detail == "from 2026-01-05 23:00:00 UTC on: 2.0 days, kept 2.0 days"
    assert found["1h"].detail == "from 2026-01-05 00:00:00 UTC on: 3.0 days, kept 1826.0 days"
    assert "roll-ups" not in found
    assert {found[name].status for name in ("store", "size", "snapshots", "5m", "1h", "1d")} == {
        "ok"
    }


def test_check_warns_of_a_tier_that_the_limit_shortens_and_of_a_limit_that_is_not_kept(
    sqlite_url: str, sqlite_writer: Engine, tmp_path: Path
) -> None:
    fill(sqlite_writer, every(60, START_MS, START_MS + DAY_MS), interval_s=60, padding=2000)
    retention = {"snapshots_days": 7, "max_mb": 3}
    _work_off(sqlite_writer, Retention(**retention))
    found = _findings(tmp_path, sqlite_url, retention)
    assert found["snapshots"].status == "warning"
    assert found["snapshots"].detail.endswith("kept 7.0 days, shortened by max_mb")
    assert ", of at most 3 MB; " in found["size"].detail
    assert [found[name].status for name in ("size", "5m", "1h")] == ["ok"] * 3
    tighter = _findings(tmp_path, sqlite_url, {**retention, "max_mb": 1})
    assert tighter["size"].status == "warning"
    # Without a limit nothing is shortened, however little there is.
    free = _findings(tmp_path, sqlite_url, {"snapshots_days": 7})
    assert {one.status for name, one in free.items() if name in ("size", "snapshots")} == {"ok"}
    assert not any(one.is_failure for one in (*found.values(), *tighter.values()))


def test_check_says_when_nobody_rolls_up(
    sqlite_url: str, sqlite_writer: Engine, tmp_path: Path
) -> None:
    fill(sqlite_writer, every(60, START_MS, START_MS + 3 * HOUR_MS + 1), interval_s=60)
    found = _findings(tmp_path, sqlite_url, {})
    assert (found["roll-ups"].status, found["roll-ups"].is_failure) == ("warning", False)
    assert found["roll-ups"].detail.startswith("3.0 h of snapshots wait for theirs")
    _work_off(sqlite_writer, Retention(**_FOREVER))
    assert "roll-ups" not in _findings(tmp_path, sqlite_url, {})


def test_check_of_a_store_without_a_snapshot_says_its_size_alone(
    sqlite_url: str, tmp_path: Path
) -> None:
    found = _findings(tmp_path, sqlite_url, {"max_mb": 5})
    assert found["size"].detail == "0.1 MB, of at most 5 MB; 0.1 MB on disk"
    assert not found.keys() & {"snapshots", "5m", "1h", "1d", "roll-ups"}
