"""Reading the platform's database: bounded in time, harmless to it, and only numbers count."""

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from demo.tables import connect
from store.codec import Document
from tests.support.configuring import COUNTS, bottube_tree
from tests.support.rows import rows_of
from tests.support.sampling import (
    assert_fit_for_the_public,
    cycle_of,
    document_of,
    statuses,
)
from tests.support.servers import RawServer, hangs, healthy
from tests.support.waiting import wait_for

QUERY_TIMEOUT_S = 0.5
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


@pytest.fixture
def tree(sqlite_url: str, bottube_path: Path) -> dict[str, Any]:
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{bottube_path}")
    tree["observed"]["query_timeout_s"] = QUERY_TIMEOUT_S
    return tree


@pytest.fixture
def platform(bottube_path: Path) -> Iterator[sqlite3.Connection]:
    """The platform's own connection, which never waits for a lock: a wait would be an error."""
    with closing(connect(bottube_path)) as connection:
        connection.execute("PRAGMA busy_timeout=0")
        yield connection


def _checkpoint(platform: sqlite3.Connection) -> bool:
    """Say whether everything could be moved to the database and the WAL emptied."""
    (was_busy, _, _) = platform.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return bool(was_busy == 0)


def test_a_query_that_runs_for_ever_is_cut_off_and_costs_only_its_own_value(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    tree["state"]["counts"] = {"before": "SELECT 1", "endless": ENDLESS, "after": "SELECT 2"}
    document = document_of(cycle_of(tmp_path, tree))
    state = document["sections"]["state"]
    assert (state["status"], state["missing"]) == ("partial", {"endless": "timeout"})
    assert (document["state"]["before"], document["state"]["after"]) == (1, 2)
    assert QUERY_TIMEOUT_S * 1000 * 0.9 < state["took_ms"] < QUERY_TIMEOUT_S * 1000 + 300
    others = {name: s for name, s in statuses(document).items() if name in ("queue", "pipeline")}
    assert others == {"queue": "ok", "pipeline": "ok"}
    assert_fit_for_the_public(document, "RECURSIVE", str(tmp_path))


def test_many_queries_that_run_for_ever_cost_the_time_of_one(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    tree["state"]["counts"] = {f"endless_{i}": ENDLESS for i in range(6)} | {"last": "SELECT 7"}
    document = document_of(cycle_of(tmp_path, tree))
    state = document["sections"]["state"]
    assert state["missing"] == {f"endless_{i}": "timeout" for i in range(6)}
    assert document["state"]["last"] == 7
    assert state["took_ms"] < QUERY_TIMEOUT_S * 1000 + 300


def test_a_health_url_that_hangs_does_not_cost_the_counters(
    tmp_path: Path, sqlite_url: str, bottube_path: Path
) -> None:
    # Each within its own bound, and both together beyond the tick's deadline.
    with RawServer(hangs) as health:
        tree = bottube_tree(
            store_url=sqlite_url, observed_url=f"sqlite:///{bottube_path}", health_url=health.url
        )
        tree["schedule"] |= {"deadline_s": 1.2}
        tree["observed"]["query_timeout_s"] = 0.7
        tree["platform"]["health_timeout_s"] = 0.8
        tree["state"]["counts"] = {"videos": COUNTS["videos"], "endless": ENDLESS}
        document = document_of(cycle_of(tmp_path, tree))
    state = document["sections"]["state"]
    assert document["state"]["videos"] is not None
    assert state["missing"] == dict.fromkeys(
        ("endless", "uptime", "uptime_s", "version"), "timeout"
    )


def test_a_database_that_is_slow_does_not_cost_version_and_uptime(
    tmp_path: Path, sqlite_url: str, bottube_path: Path
) -> None:
    with RawServer(healthy(delay_s=0.4)) as health:
        tree = bottube_tree(
            store_url=sqlite_url, observed_url=f"sqlite:///{bottube_path}", health_url=health.url
        )
        tree["schedule"] |= {"deadline_s": 1.0}
        tree["observed"]["query_timeout_s"] = 0.7
        tree["platform"]["health_timeout_s"] = 0.7
        tree["state"]["counts"] = {"endless": ENDLESS}
        document = document_of(cycle_of(tmp_path, tree))
    assert document["sections"]["state"]["missing"] == {"endless": "timeout"}
    assert (document["state"]["version"], document["state"]["uptime_s"]) == ("1.2.0", 274_000)


@pytest.mark.parametrize(
    ("sql", "value", "reason"),
    [
        ("SELECT 5", 5, None),
        ("SELECT 2.5", 2.5, None),
        ("SELECT COUNT(*) FROM videos WHERE video_id <> ':removed'", 200, None),
        ("SELECT COUNT(*) FROM videos WHERE video_id NOT LIKE '100%d'", 200, None),
        ("SELECT SUM(amount) FROM tips WHERE status = 'nobody has this'", None, "no_samples"),
        ("SELECT NULL", None, "no_samples"),
        ("SELECT '5'", None, "bad_value"),
        ("SELECT 'five'", None, "bad_value"),
        ("SELECT x'05'", None, "bad_value"),
        ("SELECT 9e999", None, "bad_value"),
        ("SELECT 1 WHERE 1 = 0", None, "bad_value"),
        ("SELECT 1 UNION SELECT 2", None, "bad_value"),
        ("SELECT 1, 2", None, "bad_value"),
        ("SELECT COUNT(*) FROM", None, "bad_query"),
        ("SELEKT 1", None, "bad_query"),
        ("SELECT no_such_function(1)", None, "bad_query"),
        ("SELECT abs(-9223372036854775807 - 1)", None, "bad_query"),
    ],
)
def test_a_counter_is_one_number_or_unknown_with_a_reason(
    tmp_path: Path, tree: dict[str, Any], sql: str, value: float | None, reason: str | None
) -> None:
    tree["state"]["counts"] = {"wanted": sql, "beside": "SELECT 7"}
    document = document_of(cycle_of(tmp_path, tree))
    assert document["state"]["wanted"] == value
    assert document["sections"]["state"].get("missing", {}).get("wanted") == reason
    assert document["state"]["beside"] == 7
    assert_fit_for_the_public(document, "SELE", str(tmp_path))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM videos RETURNING 1",
        "INSERT INTO tips (amount) VALUES (1) RETURNING 1",
        "UPDATE agents SET is_human = 1 WHERE id = 1 RETURNING 1",
        "PRAGMA user_version = 7",
        "DROP TABLE comments",
        "VACUUM",
    ],
)
def test_nothing_that_the_file_asks_for_can_change_the_platform(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, sql: str
) -> None:
    before = _content(bottube_path)
    tree["state"]["counts"] = {"writes": sql, "beside": "SELECT 7"}
    document = document_of(cycle_of(tmp_path, tree))
    assert document["state"]["writes"] is None
    assert document["state"]["beside"] == 7
    assert _content(bottube_path) == before


def _content(path: Path) -> list[Any]:
    tables = ("videos", "agents", "tips", "comments", "gpu_jobs")
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()
    return [version, *(rows_of(path, table) for table in tables)]


def test_a_tick_leaves_the_file_as_it_was_and_nothing_open(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    before = hashlib.sha256(bottube_path.read_bytes()).digest()
    cycle = cycle_of(tmp_path, tree)
    assert statuses(document_of(cycle))["queue"] == "ok"
    assert hashlib.sha256(bottube_path.read_bytes()).digest() == before
    targets = [_target(link) for link in Path("/proc/self/fd").iterdir()]
    assert [target for target in targets if target.startswith(str(bottube_path))] == []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def test_after_a_tick_the_writers_checkpoint_finds_no_reader_in_its_way(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, platform: sqlite3.Connection
) -> None:
    cycle = cycle_of(tmp_path, tree)
    for number in range(3):
        platform.execute("INSERT INTO comments (video_id, created_at) VALUES ('v', ?)", (number,))
        document_of(cycle)
        assert _checkpoint(platform)
        assert Path(f"{bottube_path}-wal").stat().st_size == 0


def test_while_a_query_of_ours_runs_the_writer_writes_without_waiting(
    tmp_path: Path, tree: dict[str, Any], platform: sqlite3.Connection
) -> None:
    # Reads a row first, so that it stands in a read transaction while it runs for ever.
    tree["state"]["counts"] = {"endless": f"{ENDLESS}, (SELECT 1 FROM videos LIMIT 1)"}
    tree["observed"]["query_timeout_s"] = 1.5
    cycle = cycle_of(tmp_path, tree)
    documents: list[Document] = []
    tick = threading.Thread(target=lambda: documents.append(document_of(cycle)))
    tick.start()

    def our_query_is_running() -> bool:
        platform.execute("INSERT INTO comments (video_id, created_at) VALUES ('v', 0)")
        return not _checkpoint(platform)

    wait_for(our_query_is_running, "our read transaction stands in a checkpoint's way", 1.4)
    written = 0
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        platform.execute("INSERT INTO comments (video_id, created_at) VALUES ('v', 0)")
        written += 1
    assert tick.is_alive(), "our query had ended: the test shows nothing"
    assert written > 10
    tick.join()
    assert documents[0]["sections"]["state"]["reason"] == "timeout"
    assert _checkpoint(platform)
