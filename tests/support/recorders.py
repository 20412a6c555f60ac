"""The daemon's recorder over real rings, logs and stores; killed and started as a test likes."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon import recording as daemon_recording
from daemon.recording import Recorder
from store.engines import open_writer
from tests.support.configuring import load_tree
from tests.support.records import recorded, rows

Tree = dict[str, Any]
Start = Callable[[dict[str, Any]], "Daemon"]
_INTERVAL_S = 30


class Slots:
    """A time of day for ticks alone, which goes on to the next slot when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now_ns = time.time_ns()
        times = SimpleNamespace(time_ns=lambda: self._now_ns, perf_counter=time.perf_counter)
        monkeypatch.setattr(daemon_recording, "time", times)

    def next(self) -> None:
        self._now_ns += _INTERVAL_S * 1_000_000_000


def tree_of(
    url: str, *, logs: Sequence[Path] = (), rings: Path | None = None, window: int = 1000
) -> Tree:
    """Return the tree of a configuration with two classes of requests, and nothing else."""
    latency: Tree = {} if rings is None else {"recorder_dir": str(rings)}
    if logs:
        latency["access_logs"] = [{"path": str(log), "format": "gunicorn"} for log in logs]
    latency["classes"] = [
        {"key": "latency", "title": "Users", "window": window, "exclude": ["/admin/"]},
        {"key": "latency_admin", "title": "Admin", "window": window, "include": ["/admin/"]},
    ]
    return {
        "platform": {"name": "BoTTube", "region": "test", "description": "A test."},
        "store": {"url": url, "source": "test"},
        "schedule": {"interval_s": _INTERVAL_S},
        "web": {"port": 0},
        "latency": latency,
    }


class Daemon:
    """A recorder as the daemon has it, without its threads: it drains and ticks when told to."""

    def __init__(self, directory: Path, tree: Tree) -> None:
        """Start it; `directory` gets its configuration file."""
        config = load_tree(directory / "opsnap.toml", tree)
        self.url = config.store.url
        self._engine = open_writer(self.url)
        self.recorder = Recorder(config, self._engine)

    def drain(self) -> None:
        self.recorder.drain()

    def tick(self) -> bool:
        """Take the tick of this slot; say whether its snapshot is stored."""
        return self.recorder.tick() is not None

    def entry(self, key: str = "latency") -> dict[str, Any]:
        """Return what the newest document says about a class."""
        entry: dict[str, Any] = recorded(self.url)[-1].document[key]
        return entry

    def kill(self) -> None:
        """End it as kill -9 does: nothing is stored, no ring is removed, every file is closed."""
        collecting: Any = self.recorder._cycle.collecting
        if collecting is not None:
            collecting.close()
        self._engine.dispose()


@contextmanager
def daemons(directory: Path) -> Iterator[Start]:
    """Give what starts a daemon; those that run at the end of the block are killed."""
    started: list[Daemon] = []

    def start(tree: Tree) -> Daemon:
        started.append(Daemon(directory, tree))
        return started[-1]

    try:
        yield start
    finally:
        for daemon in started:
            daemon.kill()


def line(
    number: int, path: str = "/api/feed", *, status: int = 200, duration_us: int = 5000
) -> str:
    """Return a line of gunicorn's as it is written now; no other has its `number`."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
    return (
        f'127.0.0.1 - - [{at}] "GET {path}?n={number} HTTP/1.1" {status} 12 "-" "a" {duration_us}\n'
    )


def lines(*numbers: int) -> str:
    return "".join(map(line, numbers))


def counted(url: str) -> dict[str, int]:
    """Return how many requests the store's intervals have, by class."""
    sql = "SELECT class_key, SUM(count) AS n FROM interval_histograms GROUP BY class_key"
    return {row.class_key: int(row.n) for row in rows(url, sql)}


def counted_users(url: str) -> int:
    """Return how many requests of users the store's intervals have."""
    return counted(url).get("latency", 0)


def told_lost(url: str) -> list[int | None]:
    """Return what the intervals of the users' class tell is lost, the oldest first, without 0."""
    sql = "SELECT lost FROM interval_histograms WHERE class_key = 'latency' ORDER BY taken_at"
    return [row.lost for row in rows(url, sql) if row.lost != 0]
