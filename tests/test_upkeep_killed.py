"""Upkeep that is killed in its midst again and again ends with the same store as if it were not."""

import random
import shutil
import time
from pathlib import Path

import pytest

from config.retention import Retention
from migrations.upgrading import upgrade
from store.engines import open_writer
from tests.support.databases import PostgresServer
from tests.support.records import rows
from tests.support.upkeep_process import Job, kill_after, kill_at, run_to_the_end
from tests.support.upkeep_stores import HOUR_MS, START_MS, contents, every, fill

#: First everything is rolled up, then of one tier after the other a part is deleted.
_PHASES = {
    "rolling up": Retention(
        snapshots_days="forever", five_minutes_days="forever", hours_days="forever"
    ),
    "thinning": Retention(snapshots_days=1, five_minutes_days=1, hours_days="forever"),
    "deleting": Retention(snapshots_days=1, five_minutes_days=1, hours_days=1),
}
_KILLS = 25
_HOURS = 36
#: Statements that each phase has, in the order of its work.
_STATEMENTS = {
    "rolling up": (
        "INSERT INTO rollup_periods",
        "INSERT INTO kept_snapshots",
        "INSERT INTO rollup_values",
        "INSERT INTO rollup_latency",
        "UPDATE rollup_progress",
    ),
    "thinning": (
        "DELETE FROM snapshots",
        "DELETE FROM interval_histograms",
        "DELETE FROM rollup_values",
        "DELETE FROM rollup_periods",
        "DELETE FROM rollup_latency",
        "DELETE FROM kept_snapshots",
    ),
    "deleting": (
        "DELETE FROM rollup_values",
        "DELETE FROM kept_snapshots",
        "DELETE FROM status_changes",
    ),
}


def _fill(url: str, interval_s: int) -> None:
    """Store a day and a half; the daemon stood still for a while, twice."""
    upgrade(url)
    engine = open_writer(url)
    times_ms = [
        at_ms
        for at_ms in every(interval_s, START_MS, START_MS + _HOURS * HOUR_MS + 1)
        if not START_MS + 4 * HOUR_MS < at_ms < START_MS + 6 * HOUR_MS
        and not START_MS + 30 * HOUR_MS < at_ms < START_MS + 30.1 * HOUR_MS
    ]
    fill(engine, times_ms, interval_s)
    engine.dispose()


def _copies(tmp_path: Path, interval_s: int) -> tuple[str, str]:
    calm, killed = tmp_path / "calm.db", tmp_path / "killed.db"
    _fill(f"sqlite:///{calm}", interval_s)
    shutil.copyfile(calm, killed)
    return f"sqlite:///{calm}", f"sqlite:///{killed}"


def _assert_same(calm: str, killed: str) -> None:
    expected, found = contents(calm), contents(killed)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def _assert_a_day_is_left(killed: str) -> None:
    # The whole day that there was began before it.
    oldest_ms = START_MS + (_HOURS - 24) * HOUR_MS
    assert rows(killed, "SELECT MIN(taken_at) FROM snapshots")[0][0] == oldest_ms
    left = rows(killed, "SELECT tier, MIN(starts_at) AS at FROM rollup_latency GROUP BY tier")
    step_ms = {"5m": HOUR_MS // 12, "30m": HOUR_MS // 2, "1h": HOUR_MS, "2h": 2 * HOUR_MS}
    step_ms |= {"6h": 6 * HOUR_MS, "1d": 24 * HOUR_MS}
    # The period of each tier that has this hour: longer ones go whole.
    assert {row.tier: row.at for row in left} == {
        tier: oldest_ms // ms * ms for tier, ms in step_ms.items()
    }


@pytest.mark.parametrize("phase", ["rolling up", "thinning"])
def test_killed_at_25_random_moments_it_ends_with_the_same_store(
    tmp_path: Path, phase: str
) -> None:
    calm, killed = _copies(tmp_path, interval_s=60)
    if phase != "rolling up":
        for url in (calm, killed):
            run_to_the_end(Job(url, _PHASES["rolling up"]))
    began = time.monotonic()
    run_to_the_end(Job(calm, _PHASES[phase]))
    # On this machine, now: so that most of the kills together come before the end.
    longest_s = 1.2 * (time.monotonic() - began) / _KILLS
    before, job, dice = contents(killed), Job(killed, _PHASES[phase]), random.Random(20261120)
    in_its_midst = [kill_after(job, dice.uniform(0, longest_s)) for _ in range(_KILLS)]
    assert in_its_midst.count(True) > _KILLS // 2, "it ended too early"
    run_to_the_end(job)
    _assert_same(calm, killed)
    assert contents(killed) != before
    assert rows(killed, "PRAGMA integrity_check")[0][0] == "ok"


def _kill_at_statements(calm: str, killed: str) -> None:
    for phase, retention in _PHASES.items():
        run_to_the_end(Job(calm, retention))
        # A look at which there is nothing to roll up has a commit for each of six tiers.
        for number in (1, 2, 6, 7):
            assert kill_at(Job(killed, retention), "COMMIT", number), phase
        for statement in _STATEMENTS[phase]:
            # Just before the first one, just after it, and the same with the second.
            for number in (1, 2, 3, 4):
                assert kill_at(Job(killed, retention), statement, number), statement
        assert contents(killed) != contents(calm)
        run_to_the_end(Job(killed, retention))
        _assert_same(calm, killed)
    _assert_a_day_is_left(killed)


def test_killed_around_every_kind_of_statement_it_ends_with_the_same_store(
    tmp_path: Path,
) -> None:
    calm, killed = _copies(tmp_path, interval_s=150)
    _kill_at_statements(calm, killed)
    assert rows(killed, "PRAGMA integrity_check")[0][0] == "ok"


def test_postgresql_forgets_what_a_killed_process_had_not_committed(
    postgres: PostgresServer,
) -> None:
    calm, killed = postgres.new_database(), postgres.new_database()
    for url in (calm, killed):
        _fill(url, interval_s=900)
    _kill_at_statements(calm, killed)
