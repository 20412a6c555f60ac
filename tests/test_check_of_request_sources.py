"""`opsnap check` tells which rings and logs it sees, how fresh and busy; it changes nothing."""

import re
import time
from pathlib import Path

import pytest

from tests.support.configuring import write_config
from tests.support.documents import now_ms
from tests.support.logs import append
from tests.support.processes import run
from tests.support.recorders import (
    Slots,
    Start,
    counted_users,
    line,
    lines,
    told_lost,
    tree_of,
)
from tests.support.records import rows
from tests.support.ring_writers import Applications, Told, dead_ring

pytest_plugins = ("tests.support.daemon_plugin",)


def _ended(*seconds_ago: float) -> list[Told]:
    return [(now_ms() - round(1000 * ago), 1, 200, "/api") for ago in seconds_ago]


def _check(directory: Path, tree: dict[str, object]) -> tuple[int, dict[str, str]]:
    """Return the exit status, and what follows each source's name in the table."""
    ended = run("--config", write_config(directory / "check.toml", tree), "check")
    assert "Traceback" not in ended.stderr
    table = [row.split(maxsplit=1) for row in ended.stdout.splitlines()]
    return ended.returncode, {name: re.sub(r" +", " ", rest) for name, rest in table}


def test_rings_are_told_with_their_age_and_their_rate(
    tmp_path: Path, sqlite_url: str, rings: Path, running: Applications
) -> None:
    for _ in range(2):
        running.start(rings).write(_ended(*(n + 0.5 for n in range(9, 30))))
    dead_ring(rings, _ended(300, 200, *(n + 0.5 for n in range(10, 28))))
    status, found = _check(tmp_path, tree_of(sqlite_url, rings=rings))
    assert status == 0
    # 21 + 21 + 18 in the last minute.
    assert re.fullmatch(
        r"ok [\d.]+ ms 2 ring\(s\) of running processes, 1 of ended ones; "
        r"newest request (9|1\d) s ago; 1\.0 requests/s in the last minute",
        found[f"rings:{rings}"],
    ), found


def test_logs_are_told_with_their_age_and_their_rate(
    tmp_path: Path, sqlite_url: str, log: Path
) -> None:
    # Of five minutes ago, and of now: times in a log are whole seconds.
    at = time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(time.time() - 300))
    old = re.sub(r"\[.*\]", at, line(1))
    log.with_name("access.log.1").write_text(old * 5)
    log.write_text(old * 100 + lines(*range(90)))
    status, found = _check(tmp_path, tree_of(sqlite_url, logs=[log]))
    assert status == 0
    assert re.fullmatch(
        r"ok [\d.]+ ms the log and 1 rotated file\(s\); newest request \d+ s ago; "
        r"1\.5 requests/s in the last minute",
        found[f"log:{log}"],
    ), found


def test_sources_without_a_request_are_fine_and_say_so(
    tmp_path: Path, sqlite_url: str, rings: Path, log: Path
) -> None:
    log.touch()
    status, found = _check(tmp_path, tree_of(sqlite_url, logs=[log], rings=rings))
    assert status == 0
    assert found[f"rings:{rings}"].endswith("of ended ones; no request yet")
    assert found[f"log:{log}"].endswith("; no request yet")


def test_a_directory_that_is_not_there_is_a_failure_and_hides_no_other_source(
    tmp_path: Path, sqlite_url: str, rings: Path, log: Path
) -> None:
    log.write_text(lines(1))
    rings.rmdir()
    status, found = _check(tmp_path, tree_of(sqlite_url, logs=[log], rings=rings))
    assert status == 1
    assert found[f"rings:{rings}"].startswith("error")
    assert "no_file" in found[f"rings:{rings}"]
    assert "newest request" in found[f"log:{log}"]
    assert found["store"] == "ok schema is current"


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "no_file"), ("2026-11-20 not the format that is configured\n" * 9, "unparsed")],
)
def test_a_log_that_is_missing_or_of_another_format_is_a_failure(
    tmp_path: Path, sqlite_url: str, log: Path, content: str | None, told: str
) -> None:
    if content is not None:
        log.write_text(content)
    status, found = _check(tmp_path, tree_of(sqlite_url, logs=[log]))
    assert status == 1
    assert told in found[f"log:{log}"]


def test_a_damaged_ring_is_a_failure_by_its_name(
    tmp_path: Path, sqlite_url: str, rings: Path
) -> None:
    dead_ring(rings, _ended(1))
    (rings / "7-bad.ring").write_bytes(b"no ring" * 100)
    status, found = _check(tmp_path, tree_of(sqlite_url, rings=rings))
    assert status == 1
    assert "unreadable" in found["7-bad.ring"]
    assert "1 of ended ones" in found[f"rings:{rings}"]


def test_a_check_beside_a_daemon_changes_nothing(
    tmp_path: Path,
    sqlite_url: str,
    rings: Path,
    log: Path,
    start: Start,
    running: Applications,
    slots: Slots,
) -> None:
    log.write_text(lines(1))
    tree = tree_of(sqlite_url, logs=[log], rings=rings)
    daemon = start(tree)
    assert daemon.tick()
    application = running.start(rings)
    application.write(_ended(3, 2, 1))
    dead_ring(rings, _ended(5, 4))
    append(log, lines(2, 3, 4))
    before = {path: path.read_bytes() for path in [*rings.iterdir(), log]}
    kept = rows(sqlite_url, "SELECT * FROM latency_state")
    for _ in range(2):
        status, _ = _check(tmp_path, tree)
        assert status == 0
    assert {path: path.read_bytes() for path in [*rings.iterdir(), log]} == before
    assert rows(sqlite_url, "SELECT * FROM latency_state") == kept
    assert counted_users(sqlite_url) == 0
    for _ in range(2):
        slots.next()
        assert daemon.tick()
    assert counted_users(sqlite_url) == 3 + 2 + 3
    assert told_lost(sqlite_url) == []
