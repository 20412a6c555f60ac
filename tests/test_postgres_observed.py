"""PostgreSQL as the platform's database: the same panels, bounded, and read-only."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.codec import Document
from tests.support.databases import PostgresServer
from tests.support.postgres_platform import (
    QUERY_TIMEOUT_S,
    READERS,
    Sample,
    as_it_is,
    connect,
    copy_platform,
    counting,
    sampling,
    watching,
)
from tests.support.sampling import statuses
from tests.support.waiting import wait_for


@pytest.fixture
def platform_url(postgres: PostgresServer, bottube_path: Path) -> str:
    url = postgres.new_database()
    copy_platform(bottube_path, url)
    return url


@pytest.fixture
def sample(tmp_path: Path, sqlite_url: str, platform_url: str) -> Sample:
    return sampling(tmp_path, sqlite_url, platform_url)


def test_the_panels_are_the_same_as_on_sqlite(sample: Sample, bottube_path: Path) -> None:
    on_postgres = sample(as_it_is)
    on_sqlite = sample(watching(f"sqlite:///{bottube_path}"))
    for name in (*READERS, "state"):
        assert statuses(on_postgres)[name] == statuses(on_sqlite)[name] == "ok"
        for document in (on_postgres, on_sqlite):
            if name == "queue":
                document[name]["oldest_queued_s"] = round(document[name]["oldest_queued_s"] / 60)
        assert _without_slips(on_postgres[name]) == _without_slips(on_sqlite[name])


def _without_slips(values: Any) -> Any:
    """Means are summed in another order, so that their last digit may differ."""
    if isinstance(values, dict):
        return {key: _without_slips(value) for key, value in values.items()}
    return pytest.approx(values, abs=0.002) if isinstance(values, float) else values


def test_a_query_that_runs_for_ever_is_cut_off_and_costs_no_value_before_it(
    sample: Sample,
) -> None:
    document = sample(
        counting(before="SELECT 1", endless="SELECT 1 FROM pg_sleep(60)", after="SELECT 2")
    )
    state = document["sections"]["state"]
    assert document["state"]["before"] == 1
    assert state["missing"]["endless"] == "timeout"
    # It has used up the time of all; what comes after it may be asked or not, but is not made up.
    told = (document["state"]["after"], state["missing"].get("after"))
    assert told in ((2, None), (None, "timeout"))
    assert QUERY_TIMEOUT_S * 1000 * 0.9 < state["took_ms"] < QUERY_TIMEOUT_S * 1000 + 500


def test_many_queries_that_run_for_ever_do_not_add_up(sample: Sample) -> None:
    endless = {f"endless_{i}": "SELECT 1 FROM pg_sleep(60)" for i in range(5)}
    document = sample(counting(first="SELECT 1", **endless))
    state = document["sections"]["state"]
    assert state["missing"] == dict.fromkeys(endless, "timeout")
    assert document["state"]["first"] == 1
    # The use as a whole is bounded, and the last query may end a bound of its own later.
    assert state["took_ms"] < 2 * QUERY_TIMEOUT_S * 1000 + 500


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM videos RETURNING 1",
        "INSERT INTO tips (id, amount) VALUES (9999, 1) RETURNING 1",
        "WITH gone AS (DELETE FROM comments RETURNING 1) SELECT COUNT(*) FROM gone",
        "SELECT setval('s', 7)",
    ],
)
def test_nothing_that_the_file_asks_for_can_change_the_platform(
    sample: Sample, platform_url: str, sql: str
) -> None:
    with closing(connect(platform_url)) as connection:
        connection.execute("CREATE SEQUENCE s")
        before = _sizes(connection)
        document = sample(counting(writes=sql, beside="SELECT 7"))
        assert _sizes(connection) == before
    assert (document["state"]["writes"], document["state"]["beside"]) == (None, 7)
    # The operator's statement is at fault here, not opsnap.
    assert document["sections"]["state"]["missing"]["writes"] in ("bad_query", "denied")


def _sizes(connection: psycopg.Connection[Any]) -> list[Any]:
    wanted = ("videos", "tips", "comments")
    return [
        connection.execute("SELECT last_value, is_called FROM s").fetchone(),
        *(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() for table in wanted),
    ]


@pytest.mark.parametrize(
    ("sql", "value", "reason"),
    [
        ("SELECT 12345678901234567890::numeric", 12345678901234567890, None),
        ("SELECT 2.5::numeric", 2.5, None),
        ("SELECT COUNT(*) FROM videos WHERE video_id NOT LIKE '100%s'", 200, None),
        ("SELECT COUNT(*) FROM videos WHERE video_id <> ':removed'", 200, None),
        ("SELECT SUM(amount) FROM tips WHERE status = 'nobody has this'", None, "no_samples"),
        ("SELECT 'five'", None, "bad_value"),
        ("SELECT true", None, "bad_value"),
        ("SELECT 'NaN'::float8", None, "bad_value"),
        ("SELECT 'NaN'::numeric", None, "bad_value"),
        ("SELECT 1 / 0", None, "bad_value"),
        ("SELEKT 1", None, "bad_query"),
    ],
)
def test_a_counter_is_one_number_or_unknown_with_a_reason(
    sample: Sample, sql: str, value: float | None, reason: str | None
) -> None:
    document = sample(counting(wanted=sql, beside="SELECT 7"))
    assert document["state"]["wanted"] == value
    assert document["sections"]["state"].get("missing", {}).get("wanted") == reason
    assert document["state"]["beside"] == 7


def test_a_backend_that_is_terminated_costs_a_reason_and_is_no_fault_of_ours(
    sample: Sample, platform_url: str
) -> None:
    documents: list[Document] = []

    def watch(tree: dict[str, Any]) -> None:
        tree["state"]["counts"] = {"endless": "SELECT COUNT(*) FROM pg_sleep(60)"}
        tree["observed"]["query_timeout_s"] = 10.0

    tick = threading.Thread(target=lambda: documents.append(sample(watch)))
    tick.start()
    with closing(connect(platform_url)) as administrator:

        def is_terminated() -> bool:
            found = administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%'"
                " AND pid <> pg_backend_pid()"
            ).fetchall()
            return bool(found)

        wait_for(is_terminated, "our query runs and is terminated")
    tick.join()
    assert documents[0]["sections"]["state"]["missing"]["endless"] not in ("internal", "timeout")
    assert documents[0]["state"]["version"] == "1.2.0"


def test_no_connection_is_left_after_a_tick(sample: Sample, platform_url: str) -> None:
    assert statuses(sample(as_it_is))["queue"] == "ok"
    with closing(connect(platform_url)) as administrator:

        def is_alone() -> bool:
            row = administrator.execute(
                "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
            ).fetchone()
            return row == (1,)

        wait_for(is_alone, "the server has no connection of ours", 2.0)
