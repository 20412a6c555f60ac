"""A store from before the history: its old snapshots become roll-ups, and nothing is made up."""

import json
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from migrations.upgrading import upgrade
from store.engines import open_writer
from store.forgetting import SNAPSHOTS
from store.histograms import LatencyHistogram
from store.history.asking import Period
from store.history.incidents import incidents
from store.history.period_latency import latency_of
from store.history.series import ask
from store.history.uptime import uptimes
from store.reading import snapshot_at
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from store.writing import commit
from tests.support.databases import PostgresServer, in_no_hurry_to_the_disk
from tests.support.odd_snapshots import SOURCE, START_MS, nodes, odd_snapshot, reading, settle
from tests.support.records import rows

_INTERVAL_MS = 30 * MINUTE_MS
_END_MS = START_MS + 12 * DAY_MS
_GAP_MS = (START_MS + 5 * DAY_MS, START_MS + 6 * DAY_MS)
_TIMES = [at for at in range(START_MS, _END_MS, _INTERVAL_MS) if not _GAP_MS[0] <= at < _GAP_MS[1]]


def _at_revision(url: str, revision: str) -> None:
    folder = Path(__file__).parents[1] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder))
    engine = open_writer(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def _fill(url: str) -> None:
    """Write rows as the program of revision 0002 did; the first days are of 0001's."""
    histogram = LatencyHistogram()
    histogram.record_all([1000, 3000], errors=1)
    engine = open_writer(url)
    in_no_hurry_to_the_disk(engine)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO sources VALUES (:source, :at)"),
            {"source": SOURCE, "at": _TIMES[-1]},
        )
        connection.execute(
            text("INSERT INTO snapshots VALUES (:source, :at, :document)"),
            [{"source": SOURCE, "at": at, "document": _document(at)} for at in _TIMES],
        )
        connection.execute(
            text(
                "INSERT INTO interval_histograms (source, taken_at, class_key, count, errors,"
                " clamped, min_us, max_us, histogram, lost) VALUES (:source, :at, 'latency', 2, 1,"
                " 0, 1000, 3000, :histogram, :lost)"
            ),
            [
                {
                    "source": SOURCE,
                    "at": at,
                    "histogram": histogram.encode(),
                    "lost": None if at < START_MS + 2 * DAY_MS else 1,
                }
                for at in _TIMES
            ],
        )
    engine.dispose()


def _document(at_ms: int) -> str:
    status = "err" if at_ms >= _GAP_MS[1] else "ok"
    return json.dumps(
        {"interval_s": 1800, "nodes": nodes(a=status), "queue": {"queued": at_ms // HOUR_MS}}
    )


def _check(url: str) -> None:
    _at_revision(url, "0002")
    _fill(url)
    upgrade(url)
    engine = open_writer(url)
    in_no_hurry_to_the_disk(engine)
    commit(engine, odd_snapshot(_END_MS, 1800, {"latency": [2000]}, nodes=nodes(a="err")))
    settle(engine, {SNAPSHOTS: DAY_MS, "5m": 3 * DAY_MS, "1h": None, "1d": None})
    engine.dispose()
    assert len(rows(url, "SELECT 1 FROM snapshots")) == 49
    with reading(url) as connection:
        (incident,) = incidents(connection, SOURCE, Period(START_MS, _END_MS + 1))
    assert (incident.name, incident.started_at_ms) == ("a", _TIMES[-1])
    whole, early = Period(START_MS, _END_MS), Period(START_MS, START_MS + 3 * DAY_MS)
    late = Period(START_MS + 2 * DAY_MS, START_MS + 3 * DAY_MS)
    with reading(url) as connection:
        answer = ask(connection, SOURCE, ["queue.queued", "latency.p99"], whole, DAY_MS, _END_MS)
        found = [
            latency_of(connection, SOURCE, "latency", period, _END_MS)
            for period in (whole, early, late)
        ]
        (uptime,) = uptimes(connection, SOURCE, ["a"], whole)
        old = snapshot_at(connection, SOURCE, START_MS + HOUR_MS)
    values, percentiles = answer.series
    assert values.columns["snapshots"] == [48] * 5 + [0] + [48] * 6
    assert values.columns["last"][5] is None
    assert percentiles.columns["value"] == [3.0] * 5 + [None] + [3.0] * 6
    assert (percentiles.columns["count"][0], percentiles.columns["count"][5]) == (96, None)
    counts = [one.interval.histogram.count for one in found if one.interval]
    assert counts == [2 * len(_TIMES), 2 * 144, 2 * 48]
    # What nobody knows of a part is not known of the whole.
    assert [one.interval.lost for one in found if one.interval] == [None, None, 48]
    assert [one.coverage for one in found] == [round(11 / 12, 6), 1.0, 1.0]
    assert (uptime.up_ms, uptime.down_ms, uptime.unknown_ms) == (5 * DAY_MS, 6 * DAY_MS, DAY_MS)
    assert old is not None
    assert old.document == _document(START_MS + HOUR_MS)


def test_old_snapshots_in_sqlite_are_rolled_up_after_the_migration(tmp_path: Path) -> None:
    _check(f"sqlite:///{tmp_path}/store.db")


def test_old_snapshots_in_postgresql_are_rolled_up_after_the_migration(
    postgres: PostgresServer,
) -> None:
    _check(postgres.new_database())
