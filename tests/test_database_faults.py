"""The platform's SQLite database at fault: each reader says so, and nothing else is touched."""

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.configuring import COUNTS, PIPELINE_COUNTS, bottube_tree
from tests.support.other_user import without_rights
from tests.support.sampling import (
    assert_fit_for_the_public,
    cycle_of,
    document_of,
    statuses,
)
from tests.support.servers import RawServer, healthy

QUERY_TIMEOUT_S = 0.6
READERS = ("queue", "outcomes", "experiments", "pipeline")


@pytest.fixture
def health() -> Iterator[RawServer]:
    with RawServer(healthy()) as server:
        yield server


@pytest.fixture
def tree(
    tmp_path: Path, sqlite_url: str, health: RawServer, log_line: Callable[..., str]
) -> dict[str, Any]:
    """A configuration with every section, over a database at `tmp_path / "bottube.db"`."""
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    tree = bottube_tree(
        store_url=sqlite_url,
        observed_url=f"sqlite:///{tmp_path}/bottube.db",
        log_path=log,
        node_urls=(health.url,),
        health_url=health.url,
    )
    tree["observed"]["query_timeout_s"] = QUERY_TIMEOUT_S
    return tree


@contextmanager
def _missing(path: Path) -> Iterator[None]:
    path.unlink()
    yield


@contextmanager
def _a_directory(path: Path) -> Iterator[None]:
    path.unlink()
    path.mkdir()
    yield


@contextmanager
def _not_a_database(path: Path) -> Iterator[None]:
    path.write_text("<html>502 Bad Gateway</html>\n" * 500)
    yield


@contextmanager
def _overwritten(path: Path) -> Iterator[None]:
    """Random bytes over every page but the first, as a dying disk leaves them."""
    page, size = 4096, path.stat().st_size
    with path.open("r+b") as file:
        file.seek(page)
        file.write(random.Random(3).randbytes(size - page))
    yield


@contextmanager
def _cut_off(path: Path) -> Iterator[None]:
    os.truncate(path, 4096 * 2)
    yield


@contextmanager
def _emptied(path: Path) -> Iterator[None]:
    os.truncate(path, 0)
    yield


_LOCKING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA journal_mode={sys.argv[2]}")
connection.execute("PRAGMA locking_mode=EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("INSERT INTO comments (video_id, created_at) VALUES ('v', 0)")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def _locked(path: Path, journal_mode: str) -> Iterator[None]:
    """Hold the database from another process, as a vacuum or a migration does."""
    arguments = [sys.executable, "-c", _LOCKING, str(path), journal_mode]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == "locked\n"
            yield
        finally:
            other.kill()


Fault = Callable[[Path], AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "missing": (_missing, "no_file"),
    "a directory": (_a_directory, "unreadable"),
    "not a database": (_not_a_database, "corrupt"),
    "overwritten": (_overwritten, "corrupt"),
    "cut off": (_cut_off, "corrupt"),
    "emptied": (_emptied, "no_table"),
    "locked in WAL mode": (lambda path: _locked(path, "wal"), "locked"),
    "locked with a rollback journal": (lambda path: _locked(path, "delete"), "locked"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_database_at_fault_is_named_and_its_values_are_null_and_the_rest_is_fresh(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, fault: str
) -> None:
    break_it, reason = FAULTS[fault]
    cycle = cycle_of(tmp_path, tree)
    with break_it(bottube_path):
        began = time.perf_counter()
        document = document_of(cycle)
        took_s = time.perf_counter() - began
    sections = document["sections"]
    assert {name: (sections[name]["status"], sections[name]["reason"]) for name in READERS} == (
        dict.fromkeys(READERS, ("error", reason))
    )
    assert set(document["queue"].values()) == {None}
    assert (document["outcomes"], document["experiments"]) == ({}, [])
    measured = {"avg_encode_s", "encode_jobs", *PIPELINE_COUNTS}
    assert {document["pipeline"][name] for name in measured} == {None}
    # The counters come from the database, version and uptime from the health URL.
    assert (sections["state"]["status"], sections["state"]["reason"]) == ("partial", reason)
    assert sections["state"]["missing"] == dict.fromkeys(COUNTS, reason)
    assert {document["state"][name] for name in COUNTS} == {None}
    assert (document["state"]["version"], document["state"]["uptime_s"]) == ("1.2.0", 274_000)
    fresh = ("nodes", "latency", "latency_admin")
    assert {statuses(document)[name] for name in fresh} == {"ok"}
    assert_fit_for_the_public(document, str(tmp_path), "bottube.db", "SELECT", "sqlite")
    # No sampler uses the database more than twice.
    assert took_s < 2 * QUERY_TIMEOUT_S + 0.7


def test_a_locked_database_costs_the_time_of_one_use_however_many_counters_there_are(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    tree["state"]["counts"] = {f"count_{i}": "SELECT COUNT(*) FROM videos" for i in range(12)}
    cycle = cycle_of(tmp_path, tree)
    with _locked(bottube_path, "wal"):
        document = document_of(cycle)
    assert document["sections"]["state"]["missing"] == dict.fromkeys(
        tree["state"]["counts"], "locked"
    )
    assert document["sections"]["state"]["took_ms"] < QUERY_TIMEOUT_S * 1000 + 500


@pytest.mark.parametrize("fault", ["missing", "not a database", "locked in WAL mode"])
def test_a_mended_database_is_fresh_with_the_next_tick(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, fault: str
) -> None:
    sound = bottube_path.read_bytes()
    tree["state"]["counts"] = {"videos": COUNTS["videos"]}
    cycle = cycle_of(tmp_path, tree)
    with FAULTS[fault][0](bottube_path):
        broken = document_of(cycle)
    assert broken["sections"]["queue"]["status"] == "error"
    for leftover in ("bottube.db-wal", "bottube.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    bottube_path.write_bytes(sound)
    mended = document_of(cycle)
    assert set(statuses(mended).values()) == {"ok"}
    assert mended["queue"]["depth"] == 16


@contextmanager
def _directory_of_everybody(sound: Path) -> Iterator[Path]:
    """A copy of the database in a directory that every user may enter: pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "platform"
        directory.mkdir()
        Path(name).chmod(0o755)
        path = directory / "bottube.db"
        path.write_bytes(sound.read_bytes())
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        path.chmod(0o644)
        directory.chmod(0o755)
        yield path
        directory.chmod(0o755)


@pytest.mark.parametrize("closed", ["the file", "the directory"])
def test_a_database_without_the_right_to_read_it_is_unreadable_and_costs_nothing_else(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, closed: str
) -> None:
    # The log lies where the other user cannot go either; that is another test's subject.
    del tree["latency"]
    with _directory_of_everybody(bottube_path) as path:
        tree["observed"]["url"] = f"sqlite:///{path}"
        cycle = cycle_of(tmp_path, tree)
        # Here, so that everything is imported; and there, to show that it can be read.
        assert statuses(document_of(cycle))["queue"] == "ok"
        cycle = cycle_of(tmp_path, tree)
        assert statuses(without_rights(lambda: document_of(cycle)))["queue"] == "ok"
        (path if closed == "the file" else path.parent).chmod(0o000)
        document = without_rights(lambda: document_of(cycle))
    for name in READERS:
        assert document["sections"][name]["status"] == "error"
        assert document["sections"][name]["reason"] in ("unreadable", "denied")
    assert document["sections"]["state"]["status"] == "partial"
    assert (document["state"]["videos"], document["state"]["version"]) == (None, "1.2.0")
    assert statuses(document)["nodes"] == "ok"
    assert_fit_for_the_public(document, str(path.parent))
