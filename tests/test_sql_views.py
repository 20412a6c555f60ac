"""The views for people with SQL tools, against everything that was ever recorded."""

import math
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

import migrations
from migrations.upgrading import upgrade
from store.codec import encode
from store.engines import open_writer
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.times import HOUR_MS
from store.writing import Snapshot, commit
from tests.support.processes import ROOT
from tests.support.records import rows
from tests.support.thinned_record import (
    INTERVAL_MS,
    SOURCE,
    START_MS,
    STEPS_MS,
    Taken,
    complete_periods,
    make,
    nearest_rank_ms,
)

HISTORY = (ROOT / "docs" / "HISTORY.md").read_text()
VIEWS = (
    "history_values",
    "history_latency",
    "history_periods",
    "history_status_changes",
    "history_snapshots",
)
Stored = tuple[str, list[Taken]]

of_each_tier = pytest.mark.parametrize("tier", STEPS_MS)
of_each_tier_of_numbers = pytest.mark.parametrize("tier", ["5m", "1h", "1d"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('views')}/store.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    upgrade(url)
    return url, make(url)


@of_each_tier_of_numbers
def test_a_row_of_values_is_what_the_snapshots_of_its_period_had(stored: Stored, tier: str) -> None:
    url, record = stored
    found = rows(
        url,
        f"SELECT * FROM history_values WHERE source = '{SOURCE}' AND tier = '{tier}'"
        " AND path = 'queue.queued' ORDER BY starts_at",
    )
    periods = complete_periods(record, STEPS_MS[tier])
    for row in found:
        had = [one.queued for one in periods[row.starts_at] if one.queued is not None]
        assert (row.snapshots, row.min, row.max, row.last) == (
            len(had),
            min(had),
            max(had),
            had[-1],
        )
        assert row.mean == pytest.approx(math.fsum(had) / len(had), rel=1e-15)
        assert row.min <= row.mean <= row.max
        assert row.expected == STEPS_MS[tier] / INTERVAL_MS
        assert row.time == row.starts_at // 1000
    known = [at for at, some in periods.items() if any(one.queued is not None for one in some)]
    starts_at = [row.starts_at for row in found]
    assert starts_at == [at for at in known if tier != "5m" or at >= starts_at[0]]
    assert len(starts_at) > {"5m": 190, "1h": 30, "1d": 0}[tier]


def test_a_mean_of_equal_numbers_is_that_number(store_url: str) -> None:
    # Three tenths are 0.30000000000000004 as a float, and a third of that is not a tenth.
    writer = open_writer(store_url)
    for slot in range(11):
        taken_at_ms = START_MS + slot * 30_000
        values = {"interval_s": 30, "queue": {"queued": 0.1} if slot < 3 else {}}
        commit(writer, Snapshot("one", taken_at_ms, 30_000, encode(values), {}))
    roll_up(writer, "one", 10)
    writer.dispose()
    (row,) = rows(store_url, "SELECT * FROM history_values WHERE path = 'queue.queued'")
    assert (row.tier, row.snapshots, row.expected) == ("5m", 3, 10)
    assert (row.min, row.mean, row.max, row.last) == (0.1, 0.1, 0.1, 0.1)


@of_each_tier
def test_a_row_of_latency_is_that_of_all_requests_of_its_period(stored: Stored, tier: str) -> None:
    url, record = stored
    found = rows(
        url,
        f"SELECT * FROM history_latency WHERE tier = '{tier}' AND class = 'latency'"
        " ORDER BY starts_at",
    )
    periods = complete_periods(record, STEPS_MS[tier])
    starts_at = [row.starts_at for row in found]
    # Half an hour is kept as long as five minutes are, the others for ever.
    is_short = tier in ("5m", "30m")
    assert starts_at == [at for at in periods if not is_short or at >= starts_at[0]]
    assert len(starts_at) > {"5m": 190, "30m": 30, "1h": 30, "2h": 14, "6h": 4, "1d": 0}[tier]
    for row in found:
        taken = periods[row.starts_at]
        durations_us = [us for one in taken for us in one.durations_us]
        assert (row.requests, row.errors) == (len(durations_us), sum(one.errors for one in taken))
        if not durations_us:
            assert {row.min_ms, row.p50_ms, row.p99_ms, row.p999_ms, row.max_ms} == {None}
            continue
        assert (row.min_ms, row.max_ms) == (min(durations_us) / 1000, max(durations_us) / 1000)
        for name, percentile in (("p50", 50), ("p75", 75), ("p95", 95), ("p999", 99.9)):
            # A bucket of the histogram is 0.1 % wide.
            exact_ms = nearest_rank_ms(durations_us, percentile)
            assert getattr(row, f"{name}_ms") == pytest.approx(exact_ms, rel=1e-3)
        if tier in ("5m", "1h", "1d"):
            assert row.snapshots == len(taken)


def test_coverage_is_the_share_of_the_snapshots_that_were_due(stored: Stored) -> None:
    url, record = stored
    found = rows(url, "SELECT * FROM history_periods WHERE tier = '1h'")
    periods = complete_periods(record, HOUR_MS)
    assert {row.starts_at: row.coverage for row in found} == dict.fromkeys(periods, 1.0)
    (day,) = rows(url, "SELECT * FROM history_periods WHERE tier = '1d'")
    assert (day.snapshots, day.expected, day.coverage) == (21 * 24, 24 * 24, 21 / 24)


def test_changes_of_status_lead_from_state_to_state(stored: Stored) -> None:
    url, record = stored
    found = rows(
        url,
        "SELECT * FROM history_status_changes WHERE kind = 'node' AND name = 'n.1'"
        " ORDER BY taken_at",
    )
    expected: list[tuple[int, str | None, str, int | None]] = []
    for before, one in zip([None, *record], record, strict=False):
        status = None if before is None else before.node_status
        if one.node_status != status:
            expected.append((one.at_ms, status, one.node_status, before and before.at_ms))
    told = [(row.taken_at, row.from_status, row.to_status, row.previous_at) for row in found]
    assert told == expected
    assert all(row.time == row.taken_at / 1000 for row in found)


def test_snapshots_have_their_documents_until_they_are_thinned_out(stored: Stored) -> None:
    url, record = stored
    found = rows(url, "SELECT * FROM history_snapshots ORDER BY taken_at")
    raw = rows(url, "SELECT taken_at, document FROM snapshots ORDER BY taken_at")
    assert [(row.taken_at, row.document) for row in found if not row.thinned] == raw
    thinned = [row for row in found if row.thinned]
    assert {row.document for row in thinned} == {None}
    # Every hour in which something was taken is still there.
    assert {row.taken_at // HOUR_MS for row in found} == {one.at_ms // HOUR_MS for one in record}
    assert len({row.taken_at for row in found}) == len(found)
    assert len(thinned) > 100


def _columns(url: str, view: str) -> list[str]:
    engine = create_engine(url, poolclass=NullPool)
    return [column["name"] for column in inspect(engine).get_columns(view)]


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_of_a_view_is_documented_and_every_documented_one_is_there(
    store_url: str, view: str
) -> None:
    chapter = re.search(rf"^### `{view}`\n(.*?)(?=^##|\Z)", HISTORY, re.MULTILINE | re.DOTALL)
    assert chapter is not None
    documented: list[str] = []
    for cell in re.findall(r"^\| (`[^|]+) \|", chapter[1], re.MULTILINE):
        documented += re.findall(r"`(\w+)`", cell)
    assert documented == _columns(store_url, view)


def _examples() -> list[str]:
    return re.findall(r"^```sql\n(.*?)^```", HISTORY, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(_examples())))
def test_an_example_of_the_documents_is_answered(stored: Stored, number: int) -> None:
    url, record = stored
    example = _examples()[number]
    start_s, end_s = record[0].at_ms // 1000, record[-1].at_ms // 1000
    # As Grafana puts them in: its macro for PostgreSQL in seconds, its variables in milliseconds.
    within = rf"\1 >= {start_s} AND \1 <= {end_s}"
    example = re.sub(r"\$__unixEpochFilter\((\w+)\)", within, example)
    example = example.replace("$__from", f"{start_s}000").replace("$__to", f"{end_s}000")
    example = example.replace("bottube-1", SOURCE).replace("node-1", "n.1")
    assert rows(url, example.replace(":", r"\:")) != []


def test_asking_for_one_number_reads_no_other(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/store.db")
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT time, mean FROM history_values WHERE source = 'one'"
            " AND tier = '1h' AND path = 'queue.queued' AND starts_at >= 0 ORDER BY time"
        ).fetchall()
    steps = [detail for *_, detail in plan]
    assert any("tier=? AND metric=? AND starts_at>?" in step for step in steps)
    assert not any(step.startswith("SCAN") for step in steps)


def _alembic(url: str, revision: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = open_writer(url, statement_timeout_s=0)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_the_views_go_and_come_without_touching_a_row(store_url: str) -> None:
    writer = open_writer(store_url)
    interval = LatencyInterval()
    interval.histogram.record_all([1000], errors=0)
    for slot in range(11):
        taken = Snapshot(
            "one", START_MS + slot * 30_000, 30_000, '{"interval_s":30}', {"a": interval}
        )
        commit(writer, taken)
    roll_up(writer, "one", 10)
    writer.dispose()
    before: dict[str, list[Any]] = {
        view: rows(store_url, f"SELECT * FROM {view}") for view in VIEWS
    }
    _alembic(store_url, "0003")
    engine = create_engine(store_url, poolclass=NullPool)
    assert inspect(engine).get_view_names() == []
    upgrade(store_url)
    assert sorted(inspect(engine).get_view_names()) == sorted(VIEWS)
    assert _everything(store_url) == before


def _everything(url: str) -> dict[str, list[Any]]:
    return {view: rows(url, f"SELECT * FROM {view}") for view in VIEWS}
