"""PostgreSQL as the platform's database, at fault: each reader says so, the rest is fresh."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from store.codec import Document
from tests.support.configuring import COUNTS
from tests.support.databases import PostgresServer
from tests.support.postgres_platform import (
    READERS,
    Sample,
    altered,
    as_it_is,
    connect,
    copy_platform,
    sampling,
    watching,
)
from tests.support.sampling import assert_fit_for_the_public, statuses
from tests.support.servers import RawServer, hangs, hangs_up_at_once, refused_url
from tests.support.waiting import wait_for


@pytest.fixture
def platform_url(postgres: PostgresServer, bottube_path: Path) -> str:
    url = postgres.new_database()
    copy_platform(bottube_path, url)
    return url


@pytest.fixture
def sample(tmp_path: Path, sqlite_url: str, platform_url: str) -> Sample:
    return sampling(tmp_path, sqlite_url, platform_url)


@pytest.fixture
def sample_elsewhere(tmp_path: Path, sqlite_url: str) -> Sample:
    """For databases that are not there: no server is started for them."""
    return sampling(tmp_path, sqlite_url, "")


def _assert_all_readers_say(document: Document, reason: str) -> None:
    sections = document["sections"]
    assert {name: (sections[name]["status"], sections[name]["reason"]) for name in READERS} == (
        dict.fromkeys(READERS, ("error", reason))
    )
    assert sections["state"]["missing"] == dict.fromkeys(COUNTS, reason)
    assert document["state"]["version"] == "1.2.0"
    assert statuses(document)["nodes"] == "ok"


def test_a_table_and_a_column_that_are_not_there_cost_what_stands_on_them(
    sample: Sample, platform_url: str
) -> None:
    with closing(connect(platform_url)) as connection:
        connection.execute("DROP TABLE gpu_jobs, comments")
        connection.execute("ALTER TABLE feed_impressions DROP COLUMN watch_seconds")
    document = sample(as_it_is)
    sections = document["sections"]
    assert (sections["queue"]["status"], sections["queue"]["reason"]) == ("error", "no_table")
    assert (sections["outcomes"]["status"], sections["outcomes"]["reason"]) == (
        "error",
        "no_column",
    )
    assert sections["state"]["missing"] == {"comments": "no_table"}
    assert document["state"]["videos"] is not None
    assert sections["pipeline"]["missing"]["avg_encode_s"] == "no_table"
    assert sections["experiments"]["status"] == "ok"
    assert_fit_for_the_public(document, "watch_seconds", "gpu_jobs", "42P01")


@pytest.fixture
def wrong_password_url(platform_url: str) -> Iterator[str]:
    """The platform's URL for a user who needs a password, and gives the wrong one."""
    user = make_url(platform_url).database
    with closing(connect(platform_url)) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'the right one'")
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        before = rules.read_text()
        rules.write_text(f"local all {user} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        url = altered(platform_url, username=user, password="hunter2")
        wait_for(lambda: _needs_a_password(url), "the server asks for a password")
        yield url
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")


def _needs_a_password(url: str) -> bool:
    try:
        connect(url).close()
    except psycopg.OperationalError as error:
        return "password" in str(error)
    return False


def test_a_wrong_password_is_denied_and_is_told_nowhere(
    sample: Sample, wrong_password_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    document = sample(watching(wrong_password_url))
    _assert_all_readers_say(document, "denied")
    assert_fit_for_the_public(document, "hunter2", "authentication")
    assert "hunter2" not in caplog.text


def test_a_user_who_does_not_exist_is_denied(sample: Sample, platform_url: str) -> None:
    url = altered(platform_url, username="nobody_of_that_name")
    _assert_all_readers_say(sample(watching(url)), "denied")


def test_a_user_without_rights_on_a_table_is_denied_that_alone(
    sample: Sample, platform_url: str
) -> None:
    user = f"reader_{make_url(platform_url).database}"
    with closing(connect(platform_url)) as connection:
        connection.execute(f"CREATE ROLE {user} LOGIN")
        connection.execute(f"GRANT SELECT ON videos, gpu_jobs TO {user}")
    document = sample(watching(altered(platform_url, username=user)))
    assert statuses(document)["queue"] == "ok"
    assert document["state"]["videos"] is not None
    denied = COUNTS.keys() - {"videos"}
    assert document["sections"]["state"]["missing"] == dict.fromkeys(denied, "denied")
    assert document["sections"]["outcomes"]["reason"] == "denied"


def test_a_database_that_does_not_exist_is_not_there(sample: Sample, platform_url: str) -> None:
    url = altered(platform_url, database="no_database_of_that_name")
    _assert_all_readers_say(sample(watching(url)), "no_file")


def test_a_server_that_is_not_running_refuses(sample_elsewhere: Sample) -> None:
    port = make_url(refused_url()).port
    url = f"postgresql+psycopg://opsnap:hunter2@127.0.0.1:{port}/bottube"
    document = sample_elsewhere(watching(url))
    _assert_all_readers_say(document, "refused")
    assert_fit_for_the_public(document, "127.0.0.1", str(port), "hunter2")


def test_a_host_that_does_not_resolve_is_dns(sample_elsewhere: Sample) -> None:
    document = sample_elsewhere(watching("postgresql+psycopg://opsnap@database-1.invalid/bottube"))
    _assert_all_readers_say(document, "dns")
    assert_fit_for_the_public(document, "database-1")


def test_a_server_that_hangs_up_has_cut_the_connection_off(sample_elsewhere: Sample) -> None:
    with RawServer(hangs_up_at_once) as server:
        url = f"postgresql+psycopg://opsnap@127.0.0.1:{server.port}/bottube"
        document = sample_elsewhere(watching(url))
    _assert_all_readers_say(document, "reset")


def test_a_server_that_accepts_and_never_answers_is_a_timeout_at_the_ticks_deadline(
    sample_elsewhere: Sample,
) -> None:
    with RawServer(hangs) as server:

        def watch(tree: dict[str, Any]) -> None:
            tree["observed"]["url"] = f"postgresql+psycopg://opsnap@127.0.0.1:{server.port}/b"
            tree["schedule"]["deadline_s"] = 1.5
            tree["platform"]["health_timeout_s"] = tree["nodes"][0]["timeout_s"] = 0.5

        began = time.perf_counter()
        document = sample_elsewhere(watch)
        took_s = time.perf_counter() - began
    sections = document["sections"]
    assert {sections[name]["reason"] for name in READERS} == {"timeout"}
    assert statuses(document)["nodes"] == "ok"
    # Samplers start within 0.2 s of each other, each with the whole of its deadline.
    assert took_s < 1.5 + 0.6


def test_a_locked_table_costs_what_stands_on_it(sample: Sample, platform_url: str) -> None:
    with closing(connect(platform_url)) as migration:
        migration.execute("BEGIN")
        migration.execute("LOCK TABLE videos IN ACCESS EXCLUSIVE MODE")
        document = sample(lambda tree: tree["observed"].update(query_timeout_s=3.0))
        migration.execute("ROLLBACK")
    assert document["sections"]["state"]["missing"] == {"videos": "locked"}
    assert document["state"]["agents"] == 400
    assert set(statuses(document).values()) <= {"ok", "partial", "off"}
