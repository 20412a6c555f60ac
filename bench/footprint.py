"""Resident memory of the daemon and the web app after 20 ticks and 2,000 requests."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from bench.processes import (
    BrokenBenchmarkError,
    memory,
    require_alive,
    running,
    wait_until_answering,
)
from bench.rates import API, load
from bench.table import Row
from bench.watched import Watched, watched, write_requests

_MOST_MB = 130
_TICKS = 20
_INTERVAL_S = 2
_LINES_A_STEP = 100
_REQUESTS = {API: 1600, "/engineering": 200, f"{API}?at=-5s": 100, "/engineering?at=-5s": 100}


def measure(directory: Path) -> list[Row]:
    """Run both services as an operator does, with log lines and visitors coming in."""
    with watched(directory, "footprint", interval_s=_INTERVAL_S) as platform:
        config = ("--config", str(platform.config_path))
        daemon_log, web_log = platform.directory / "daemon.log", platform.directory / "web.log"
        with (
            running(daemon_log, "opsnap", *config, "daemon") as daemon,
            running(web_log, "opsnap", *config, "web") as web,
        ):
            wait_until_answering(web, web_log, platform.page_port, "/readyz")
            ends = time.monotonic() + _INTERVAL_S * (_TICKS + 10)
            while _ticks(platform) < _TICKS and time.monotonic() < ends:
                require_alive(daemon, daemon_log)
                write_requests(platform.access_log, _LINES_A_STEP)
                time.sleep(0.2)
            for path, count in _REQUESTS.items():
                _visit(platform.page_port, path, count)
            taken = _ticks(platform)
            if taken < _TICKS:
                raise BrokenBenchmarkError(f"{taken} ticks instead of {_TICKS}")
            both, of_daemon, of_web = (
                memory(daemon.pid, web.pid),
                memory(daemon.pid),
                memory(web.pid),
            )
    return [
        Row(
            "memory of daemon and web, resident",
            f"{both.rss_mb:.0f} MB",
            bound=f"<= {_MOST_MB} MB",
            is_met=both.rss_mb <= _MOST_MB,
            detail=f"daemon {of_daemon.rss_mb:.1f}, web {of_web.rss_mb:.1f}; after {taken} ticks "
            f"and {sum(_REQUESTS.values()):,} requests",
        ),
        Row(
            "memory of daemon and web, PSS",
            f"{both.pss_mb:.0f} MB",
            bound=f"<= {_MOST_MB} MB",
            is_met=both.pss_mb <= _MOST_MB,
            detail=f"daemon {of_daemon.pss_mb:.1f}, web {of_web.pss_mb:.1f}; a page that several "
            "programs share is divided among them",
        ),
    ]


def _visit(port: int, path: str, count: int) -> None:
    told = load(port, path, most=count)
    if set(told["statuses"]) != {"200"}:
        raise BrokenBenchmarkError(f"{path} answered {told['statuses']}")


def _ticks(platform: Watched) -> int:
    with closing(sqlite3.connect(f"file:{platform.store_path}?mode=ro", uri=True)) as connection:
        count: int = connection.execute("SELECT COUNT(*) FROM snapshots").fetchone()[0]
    return count
