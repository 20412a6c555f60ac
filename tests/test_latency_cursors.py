"""Every request exactly once in the store's intervals, whatever is killed at whatever moment."""

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from migrations.upgrading import upgrade
from tests.support.documents import now_ms
from tests.support.recorders import (
    Daemon,
    Slots,
    Start,
    counted,
    counted_users,
    daemons,
    line,
    lines,
    told_lost,
    tree_of,
)
from tests.support.records import rows
from tests.support.ring_writers import Application, Told, applications, dead_ring
from tests.support.waiting import wait_for

_PATHS = st.sampled_from(["/api/feed", "/api/watch/7", "/admin/backfill"])
_STATUSES = st.sampled_from([200, 404, 500, 503])
_FEW = st.integers(1, 9)


class _Watching(RuleBasedStateMachine):
    """Applications, logs and a daemon, each of which may end at any step.

    A step that counts everything is a tick; before it nothing says how much is counted, but never
    more than there is.
    """

    slots = 1024

    def __init__(self) -> None:
        super().__init__()
        self._ends = ExitStack()
        directory = Path(self._ends.enter_context(TemporaryDirectory(prefix="opsnap-machine-")))
        self.rings, self.logs = directory / "rings", directory / "logs"
        self.rings.mkdir()
        self.logs.mkdir()
        self.directory, self.log = directory, self.logs / "access.log"
        self.url = f"sqlite:///{directory}/store.db"
        shutil.copyfile(_migrated_store(), directory / "store.db")
        self.time = Slots(self._ends.enter_context(pytest.MonkeyPatch.context()))
        self.applications = self._ends.enter_context(applications())
        self.written = {"latency": 0, "latency_admin": 0}
        self.number = 0

    @initialize()
    def begin(self) -> None:
        # What was logged before anybody watched is in no interval.
        self.log.write_text(line(0) * 3)
        self.tree = tree_of(self.url, logs=[self.log], rings=self.rings)
        self.daemon = Daemon(self.directory, self.tree)
        assert self.daemon.tick()

    @rule()
    def an_application_starts(self) -> None:
        if len(self.applications.running) < 4:
            self.applications.start(self.rings, self.slots)

    @precondition(lambda self: self.applications.running)
    @rule(data=st.data(), path=_PATHS, status=_STATUSES, count=_FEW)
    def an_application_answers(self, data: Any, path: str, status: int, count: int) -> None:
        self._some(data).write([(now_ms(), self._next(path), status, path) for _ in range(count)])

    @precondition(lambda self: self.applications.running)
    @rule(data=st.data())
    def an_application_is_killed(self, data: Any) -> None:
        self.applications.kill(self._some(data))

    @rule(path=_PATHS, status=_STATUSES, count=st.integers(0, 5))
    def an_application_comes_and_goes(self, path: str, status: int, count: int) -> None:
        dead_ring(
            self.rings,
            [(now_ms(), self._next(path), status, path) for _ in range(count)],
            slots=self.slots,
        )

    @rule()
    def the_daemon_drains(self) -> None:
        self.daemon.drain()
        self.the_daemon_looks()

    @rule()
    def the_daemon_ticks(self) -> None:
        self.time.next()
        assert self.daemon.tick()
        self.the_daemon_looks()
        self._assert_all_is_counted()

    @rule()
    def the_daemon_is_killed_and_starts_again(self) -> None:
        self.daemon.kill()
        self.daemon = Daemon(self.directory, self.tree)

    def the_daemon_looks(self) -> None:
        """Note what it sees."""

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        found = counted(self.url)
        assert all(found[key] <= self.written[key] for key in found), (found, self.written)

    def teardown(self) -> None:
        try:
            self.applications.kill_all()
            self.the_daemon_ticks()
            # What the tick has stored is removed when it is looked for more.
            self.daemon.drain()
            assert list(self.rings.iterdir()) == []
            self.the_daemon_ticks()
        finally:
            self.daemon.kill()
            self._ends.close()

    def _assert_all_is_counted(self) -> None:
        assert counted(self.url) == self.written
        assert told_lost(self.url) == []

    def _next(self, path: str) -> int:
        """Return a number that no request before had, and count the one of `path` that has it."""
        self.number += 1
        self.written["latency_admin" if path.startswith("/admin/") else "latency"] += 1
        return self.number

    def _some(self, data: Any) -> Application:
        some: Application = data.draw(st.sampled_from(self.applications.running))
        return some


class _RingsAndARenamedLog(_Watching):
    """The log's writer has the file open until it is told to reopen it, as gunicorn has."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.writer = self._ends.enter_context(self.log.open("a", encoding="utf-8"))

    @rule(path=_PATHS, status=_STATUSES, count=_FEW)
    def lines_are_logged(self, path: str, status: int, count: int) -> None:
        for _ in range(count):
            number = self._next(path)
            self.writer.write(line(number, path, status=status, duration_us=number))
        self.writer.flush()

    @rule()
    def the_log_is_renamed(self) -> None:
        if self.log.exists():
            _rename_older(self.log)
            self.log.rename(self.log.with_name("access.log.1"))

    @rule()
    def the_writer_reopens_the_log(self) -> None:
        self.writer.close()
        self.writer = self._ends.enter_context(self.log.open("a", encoding="utf-8"))

    def teardown(self) -> None:
        # Without its log the daemon reads what is open, and looks for the rest when it is back.
        self.log.touch()
        super().teardown()

    def _assert_all_is_counted(self) -> None:
        if self.log.exists():
            super()._assert_all_is_counted()


class _ALogThatIsCopiedAndTruncated(_Watching):
    """Quietly: between the copy and the truncation nothing is written, and nothing is lost."""

    #: How long the log was when the daemon that runs now has looked at it.
    seen_bytes = -1

    @rule(path=_PATHS, status=_STATUSES, count=_FEW)
    def lines_are_logged(self, path: str, status: int, count: int) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            for _ in range(count):
                number = self._next(path)
                log.write(line(number, path, status=status, duration_us=number))

    # Of a log that was empty nobody can see that it was filled and emptied since.
    @precondition(lambda self: self.seen_bytes != 0)
    @rule()
    def the_log_is_copied_and_truncated(self) -> None:
        _rename_older(self.log)
        shutil.copyfile(self.log, self.log.with_name("access.log.1"))
        with self.log.open("r+b") as log:
            log.truncate(0)

    def the_daemon_looks(self) -> None:
        self.seen_bytes = self.log.stat().st_size

    def _assert_all_is_counted(self) -> None:
        assert counted(self.url) == self.written
        # Nobody can know that nothing was written in between.
        assert set(told_lost(self.url)) <= {None}


class _RingsThatAreTooSmall(_Watching):
    """What is overwritten before anybody has read it is lost, and told to the last request."""

    slots = 8

    @precondition(lambda self: self.applications.running)
    @rule(data=st.data(), count=st.integers(1, 30))
    def an_application_answers_many(self, data: Any, count: int) -> None:
        self._some(data).write(
            [(now_ms(), self._next("/api/feed"), 200, "/api/feed") for _ in range(count)]
        )

    def _assert_all_is_counted(self) -> None:
        lost = sum(number or 0 for number in told_lost(self.url))
        assert None not in told_lost(self.url)
        assert sum(counted(self.url).values()) + lost == sum(self.written.values())


class _TwoDaemonsUnderOneName(_Watching):
    """Each knows of the other by the store alone, and each may remove rings."""

    @initialize()
    def begin(self) -> None:
        super().begin()
        self.other = Daemon(self.directory, self.tree)

    @rule(path=_PATHS, status=_STATUSES, count=_FEW)
    def lines_are_logged(self, path: str, status: int, count: int) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            for _ in range(count):
                number = self._next(path)
                log.write(line(number, path, status=status, duration_us=number))

    @rule()
    def it_is_the_others_turn(self) -> None:
        self.daemon, self.other = self.other, self.daemon

    @rule()
    def both_want_the_tick(self) -> None:
        self.the_daemon_ticks()
        assert not self.other.tick()
        self._assert_all_is_counted()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.other.kill()


def _rename_older(log: Path) -> None:
    older = sorted(log.parent.glob("access.log.*"), key=lambda path: -int(path.suffix[1:]))
    for path in older:
        path.rename(path.with_suffix(f".{int(path.suffix[1:]) + 1}"))


_store: list[Path] = []


def _migrated_store() -> Path:
    return _store[0]


@pytest.fixture(scope="module", autouse=True)
def _one_migration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    path = tmp_path_factory.mktemp("machine") / "store.db"
    upgrade(f"sqlite:///{path}")
    _store[:] = [path]
    yield
    _store.clear()


_QUICK = settings(
    deadline=None,
    max_examples=25,
    stateful_step_count=25,
    suppress_health_check=[HealthCheck.too_slow],
    # What fails is told as it was found: to make it shorter takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
TestRingsAndARenamedLog = _RingsAndARenamedLog.TestCase
TestALogThatIsCopiedAndTruncated = _ALogThatIsCopiedAndTruncated.TestCase
TestRingsThatAreTooSmall = _RingsThatAreTooSmall.TestCase
TestTwoDaemonsUnderOneName = _TwoDaemonsUnderOneName.TestCase
TestRingsAndARenamedLog.settings = _QUICK
TestALogThatIsCopiedAndTruncated.settings = _QUICK
TestRingsThatAreTooSmall.settings = _QUICK
TestTwoDaemonsUnderOneName.settings = _QUICK


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with daemons(tmp_path) as starting:
        yield starting


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Slots:
    return Slots(monkeypatch)


@pytest.fixture
def rings(tmp_path: Path) -> Path:
    (tmp_path / "rings").mkdir()
    return tmp_path / "rings"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "access.log"


def _requests(*durations_us: int, path: str = "/api/feed", status: int = 200) -> list[Told]:
    return [(now_ms(), duration_us, status, path) for duration_us in durations_us]


def test_what_was_drained_and_not_stored_is_read_again_by_the_next_daemon(
    start: Start, store_url: str, rings: Path, log: Path, slots: Slots
) -> None:
    log.write_text(lines(1, 2, 3))
    tree = tree_of(store_url, logs=[log], rings=rings)
    with applications() as started:
        application = started.start(rings)
        first = start(tree)
        assert first.tick()
        application.write(_requests(100, 200))
        log.write_text(log.read_text() + lines(4, 5, 6))
        for _ in range(3):
            first.drain()
        first.kill()
        application.write(_requests(300))
        again = start(tree)
        assert counted_users(store_url) == 0
        slots.next()
        assert again.tick()
        assert counted_users(store_url) == 2 + 3 + 1
        slots.next()
        assert again.tick()
        assert counted_users(store_url) == 6


def test_what_a_checkpoint_has_stored_is_part_of_the_next_daemons_first_snapshot(
    start: Start, store_url: str, rings: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    first = start(tree)
    assert first.tick()
    dead_ring(rings, _requests(100, 200, 300) + _requests(7, path="/admin/x", status=500))
    first.drain()
    assert list(rings.iterdir()) == [], "it is stored, so it is removed"
    assert counted_users(store_url) == 0
    first.kill()
    again = start(tree)
    again.drain()
    slots.next()
    assert again.tick()
    slots.next()
    assert again.tick()
    assert counted(store_url) == {"latency": 3, "latency_admin": 1}
    stored = rows(
        store_url,
        "SELECT class_key, errors, min_us, max_us FROM interval_histograms WHERE count > 0"
        " ORDER BY class_key",
    )
    assert [tuple(row) for row in stored] == [("latency", 0, 100, 300), ("latency_admin", 1, 7, 7)]


def test_a_daemon_killed_before_its_very_first_snapshot_loses_no_ring_that_it_has_removed(
    start: Start, store_url: str, rings: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    first = start(tree)
    dead_ring(rings, _requests(100, 200, 300))
    first.drain()
    assert list(rings.iterdir()) == []
    first.kill()
    again = start(tree)
    assert again.tick()
    assert counted_users(store_url) == 3


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_ring_whose_end_is_stored_and_that_was_not_removed_yet_is_counted_once(
    start: Start, store_url: str, rings: Path, slots: Slots, count: int
) -> None:
    tree = tree_of(store_url, rings=rings)
    ring = dead_ring(rings, _requests(*range(100, 100 + count)), missed=4)
    first = start(tree)
    assert first.tick()
    assert ring.exists(), "it is removed when the daemon looks again, not by the tick"
    first.kill()
    again = start(tree)
    again.drain()
    assert not ring.exists()
    slots.next()
    assert again.tick()
    assert counted_users(store_url) == count
    assert told_lost(store_url) == [4]


def test_the_windows_are_whole_again_after_a_kill(
    start: Start, store_url: str, rings: Path, log: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, logs=[log], rings=rings, window=50)
    log.write_text("".join(line(n, duration_us=n * 1000) for n in range(1, 31)))
    dice = random.Random(3)
    requests = [
        (now_ms(), dice.randrange(1, 4_000_000_000), dice.choice([200, 500]), path)
        for path in dice.choices(["/api/feed", "/watch/dQw4w9WgXcQ", "/admin/9"], k=90)
    ]
    dead_ring(rings, requests, missed=2)
    first = start(tree)
    assert first.tick()
    before = {key: first.entry(key) for key in ("latency", "latency_admin")}
    assert (before["latency"]["samples"], before["latency"]["lost"]) == (50, 2)
    assert before["latency"]["slowest_routes"]
    first.drain()
    assert list(rings.iterdir()) == [], "nothing of it can be read again"
    first.kill()
    again = start(tree)
    slots.next()
    assert again.tick()
    for key, entry in before.items():
        found = again.entry(key)
        assert entry["oldest_s"] <= found["oldest_s"] <= entry["oldest_s"] + 30
        assert {**found, "oldest_s": 0} == {**entry, "oldest_s": 0}


def test_what_came_before_the_first_look_at_a_long_log_was_over_is_counted_after_a_kill(
    sqlite_url: str, log: Path, start: Start, slots: Slots
) -> None:
    # Without a line of the other class all of it is looked through to fill that one's window.
    log.write_text(lines(*range(1000)) * 60)
    tree = tree_of(sqlite_url, logs=[log])
    tree["schedule"]["deadline_s"] = 0.1
    first = start(tree)
    collecting: Any = first.recorder._cycle.collecting
    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(first.drain)
        wait_for(collecting._draining.locked, "the first look's begin")
        assert first.tick()
        assert not looking.done(), "the log is too short to say anything"
        with log.open("a") as file:
            file.write(lines(1, 2, 3))
        looking.result()
    first.kill()
    tree["schedule"]["deadline_s"] = 10
    again = start(tree)
    slots.next()
    assert again.tick()
    assert counted_users(sqlite_url) == 3
    assert again.entry()["samples"] == 1000
    assert again.entry()["max"] == 5


def test_no_tick_waits_for_a_slow_source_because_of_a_checkpoint(
    tmp_path: Path, sqlite_url: str, rings: Path, log: Path, start: Start, slots: Slots
) -> None:
    log.touch()
    tree = tree_of(sqlite_url, logs=[log], rings=rings)
    tree["schedule"]["deadline_s"] = 0.3
    daemon = start(tree)
    assert daemon.tick()
    before = rows(sqlite_url, "SELECT state FROM latency_state")
    dead_ring(rings, _requests(1))
    collecting: Any = daemon.recorder._cycle.collecting
    store = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    with closing(store), ThreadPoolExecutor(2) as threads:
        store.execute("BEGIN IMMEDIATE")
        draining = threads.submit(daemon.drain)
        wait_for(daemon.recorder._keeping.storing.locked, "a checkpoint that waits for the store")
        log.write_text(lines(*range(1000)) * 250)
        reading = threads.submit(collecting.sample)
        wait_for(collecting._draining.locked, "the log's begin")
        store.rollback()
        wait_for(
            lambda: rows(sqlite_url, "SELECT state FROM latency_state") != before, "the checkpoint"
        )
        slots.next()
        began = time.monotonic()
        assert daemon.tick()
        took_s = time.monotonic() - began
        assert took_s < 0.3 + 0.5
        assert not reading.done(), "the log is too short to say anything"
        reading.result()
        draining.result()
    slots.next()
    assert daemon.tick()
    assert counted_users(sqlite_url) == 250_000 + 1
