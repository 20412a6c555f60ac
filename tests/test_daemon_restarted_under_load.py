"""The daemon killed with -9 again and again in the middle of the load: no total is off by one.

How many requests there were is told by the application itself; see support/request_counts.py.
"""

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from tests.support.configuring import write_config
from tests.support.gunicorn_platform import Platform, gunicorn, load
from tests.support.latency_totals import final_totals, latency_tree, told_losses, watching
from tests.support.log_rotation import RotatedLog
from tests.support.processes import STARTED, running
from tests.support.records import recorded

#: How long nobody watches after each kill, in seconds; at 2.5 the log is rotated twice meanwhile.
_PAUSES_S = (0.0, 2.5, 0.0, 0.7)
_LONGEST_LIFE_S = 2.0


def test_rings_are_counted_exactly_by_a_daemon_that_is_killed_under_load(
    tmp_path: Path, sqlite_url: str
) -> None:
    rings = tmp_path / "rings"
    rings.mkdir()
    tree = latency_tree(sqlite_url, rings=rings)
    arguments = ("--worker-class", "gthread", "--threads", "2")
    with gunicorn(tmp_path, *arguments, rings=rings) as platform:
        with load(platform.port):
            _watch_and_be_killed(tmp_path, tree)
            survived = len(recorded(sqlite_url))
            # Rings of workers that came and went while nobody watched are there as well.
            platform.kill_a_worker()
        with watching(tmp_path, tree):
            platform.stop()
            completed = platform.completed()
            assert final_totals(sqlite_url, completed) == completed
    assert survived > len(_PAUSES_S), "no daemon lived long enough to be interrupted"
    assert completed["latency"].count > 2000
    assert told_losses(sqlite_url) == {0}


def test_a_log_under_rotation_is_counted_exactly_by_a_daemon_that_is_killed_under_load(
    tmp_path: Path, sqlite_url: str
) -> None:
    for name in ("logs", "attic"):
        (tmp_path / name).mkdir()
    log = RotatedLog(tmp_path / "logs" / "access.log", tmp_path / "attic", kept=20)
    tree = latency_tree(sqlite_url, access_log=log.path)
    with gunicorn(tmp_path, access_log=log.path) as platform:
        # What was logged before anybody watched is in no interval: the first look comes first.
        with watching(tmp_path, tree) as first:
            first.kill()
        with load(platform.port), _renamed_each_second(log, platform):
            _watch_and_be_killed(tmp_path, tree)
            survived = len(recorded(sqlite_url))
        with watching(tmp_path, tree):
            platform.stop()
            completed = platform.completed()
            assert log.completed() == completed
            assert final_totals(sqlite_url, completed) == completed
    assert survived > len(_PAUSES_S), "no daemon lived long enough to be interrupted"
    assert completed["latency"].count > 1000
    assert told_losses(sqlite_url) == {0}


def _watch_and_be_killed(directory: Path, tree: dict[str, Any]) -> None:
    """Start a daemon and kill it at an arbitrary moment, as often as there are pauses."""
    config = write_config(directory / "opsnap.toml", tree)
    dice = random.Random()
    for number, pause_s in enumerate(_PAUSES_S):
        with running(config, "daemon", log_path=directory / f"killed-{number}.log") as daemon:
            daemon.wait_for_log(STARTED)
            time.sleep(dice.uniform(0.2, _LONGEST_LIFE_S))
            daemon.kill()
        time.sleep(pause_s)


@contextmanager
def _renamed_each_second(log: RotatedLog, platform: Platform) -> Iterator[None]:
    is_over = Event()

    def rotate() -> None:
        while not is_over.wait(0.6):
            log.rename(platform.reopen_logs)

    with ThreadPoolExecutor(1) as thread:
        rotating = thread.submit(rotate)
        try:
            yield
        finally:
            is_over.set()
            rotating.result()
