"""Every request exactly once in the store's intervals, whatever is killed at whatever moment."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
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
    counted,
    line,
    told_lost,
    tree_of,
)
from tests.support.records import change
from tests.support.ring_writers import Application, applications, dead_ring

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

    @rule(data=st.data(), path=_PATHS, status=_STATUSES, count=_FEW, is_new=st.booleans())
    def an_application_answers(
        self, data: Any, path: str, status: int, count: int, is_new: bool
    ) -> None:
        if is_new or not self.applications.running:
            self.applications.start(self.rings, self.slots)
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

    @rule(is_killed=st.booleans())
    def the_store_refuses_for_a_while(self, is_killed: bool) -> None:
        change(self.url, "ALTER TABLE latency_state RENAME TO gone")
        try:
            for _ in range(2):
                self.daemon.drain()
            self.time.next()
            assert not self.daemon.tick()
            self.the_daemon_looks()
            if is_killed:
                self.daemon.kill()
        finally:
            change(self.url, "ALTER TABLE gone RENAME TO latency_state")
        if is_killed:
            self.daemon = Daemon(self.directory, self.tree)

    @rule(after=st.sampled_from(["anything", "a drain", "a tick"]))
    def the_daemon_is_killed_and_starts_again(self, after: str) -> None:
        if after == "a drain":
            self.the_daemon_drains()
        if after == "a tick":
            self.the_daemon_ticks()
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
            self.the_daemon_is_killed_and_starts_again("a drain")
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
        # Each counts what it has seen, and it is for the store to say whose count is the record.
        self.other.drain()
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
    max_examples=15,
    stateful_step_count=40,
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
