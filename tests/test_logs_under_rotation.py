"""Every line of a real gunicorn's access log counted exactly once, rotated each second.

How many lines there were is told by all files together, and by the application itself.
"""

from pathlib import Path

import pytest

from tests.support.gunicorn_platform import every_second, gunicorn, load, stopped
from tests.support.latency_totals import (
    final_totals,
    latency_tree,
    settled_totals,
    told_losses,
    watching,
)
from tests.support.log_rotation import RotatedLog

_SECONDS = 8


@pytest.fixture
def log(tmp_path: Path) -> RotatedLog:
    """A log of which few older files stay: the oldest goes away under the daemon's eyes."""
    for name in ("logs", "attic"):
        (tmp_path / name).mkdir()
    return RotatedLog(tmp_path / "logs" / "access.log", tmp_path / "attic", kept=4)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--worker-class", "sync"], id="sync"),
        pytest.param(["--worker-class", "gthread", "--threads", "4"], id="gthread"),
    ],
)
def test_a_log_that_is_renamed_each_second_is_counted_exactly(
    tmp_path: Path, sqlite_url: str, log: RotatedLog, arguments: list[str]
) -> None:
    with (
        gunicorn(tmp_path, *arguments, access_log=log.path) as platform,
        watching(tmp_path, latency_tree(sqlite_url, access_log=log.path)),
    ):
        with load(platform.port):
            for _ in every_second(_SECONDS):
                log.rename(platform.reopen_logs)
        platform.stop()
        completed = platform.completed()
        assert log.completed() == completed
        assert final_totals(sqlite_url, completed) == completed
    assert len(list(log.attic.iterdir())) == _SECONDS - log.kept
    assert completed["latency"].count > 1000
    assert told_losses(sqlite_url) == {0}


def test_a_log_that_is_copied_and_truncated_while_nobody_writes_is_counted_exactly(
    tmp_path: Path, sqlite_url: str, log: RotatedLog
) -> None:
    with (
        gunicorn(tmp_path, access_log=log.path) as platform,
        watching(tmp_path, latency_tree(sqlite_url, access_log=log.path)),
    ):
        with load(platform.port):
            for _ in every_second(_SECONDS):
                with stopped(platform.master.pid), stopped(*platform.workers()):
                    log.copy_and_truncate()
        platform.stop()
        completed = platform.completed()
        assert log.completed() == completed
        assert final_totals(sqlite_url, completed) == completed
    assert completed["latency"].count > 1000


def test_a_log_that_is_copied_and_truncated_under_its_writers_is_counted_as_far_as_it_is_there(
    tmp_path: Path, sqlite_url: str, log: RotatedLog
) -> None:
    with (
        gunicorn(tmp_path, access_log=log.path) as platform,
        watching(tmp_path, latency_tree(sqlite_url, access_log=log.path)),
    ):
        with load(platform.port):
            for _ in every_second(_SECONDS):
                log.copy_and_truncate()
        platform.stop()
        completed = platform.completed()
        found = settled_totals(sqlite_url)
        still_there = log.completed()
    # What was written between copy and truncation is in no file; the daemon may have seen it.
    for key, truth in completed.items():
        assert still_there[key].count <= found[key].count <= truth.count
        assert still_there[key].errors <= found[key].errors <= truth.errors
    assert found == completed or None in told_losses(sqlite_url)
