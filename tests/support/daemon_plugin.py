"""Fixtures for modules that say `pytest_plugins`: daemons in the test's hand, what they watch."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.recorders import Daemon, Slots, Start, counted_users, daemons, tree_of
from tests.support.ring_writers import Applications, applications


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a daemon; all are ended with the test."""
    with daemons(tmp_path) as starting:
        yield starting


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Slots:
    """The clock of the ticks."""
    return Slots(monkeypatch)


@pytest.fixture
def running() -> Iterator[Applications]:
    """Applications that write rings; all are ended with the test."""
    with applications() as started:
        yield started


@pytest.fixture
def rings(tmp_path: Path) -> Path:
    """An empty directory of rings."""
    (tmp_path / "rings").mkdir()
    return tmp_path / "rings"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The path of a log that is not there yet, in a directory of its own."""
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "access.log"


@pytest.fixture
def watch(sqlite_url: str, log: Path, start: Start, slots: Slots) -> Callable[[], Daemon]:
    """Start a daemon that watches the log, and let it take its first tick."""

    def watching() -> Daemon:
        daemon = start(tree_of(sqlite_url, logs=[log]))
        slots.next()
        daemon.tick()
        return daemon

    return watching


@pytest.fixture
def total(sqlite_url: str, slots: Slots) -> Callable[[Daemon], int]:
    """Take two ticks, because what is counted twice comes late, and say what is counted."""

    def ticking(daemon: Daemon) -> int:
        for _ in range(2):
            slots.next()
            daemon.tick()
        return counted_users(sqlite_url)

    return ticking
