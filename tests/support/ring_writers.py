"""Applications that write rings: a process each, because only so a reader sees their locks."""

import json
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recorder.ring import RingWriter

#: One request: when it ended (Unix ms), how long it took in µs, its status, its path.
Told = tuple[int, int, int, str]


@dataclass(frozen=True)
class Application:
    """A process that writes one ring; every method returns when it is done."""

    pid: int
    _commands: int
    _answers: int

    def write(self, requests: Sequence[Told]) -> None:
        """Write `requests` into the ring, in that order."""
        told = json.dumps(list(requests)).encode() + b"\n"
        while told:
            told = told[os.write(self._commands, told) :]
        answer = os.read(self._answers, 1)
        assert answer == b"+", "the application has died"

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._commands)
        os.close(self._answers)


class Applications:
    """The applications that a test has started; see `applications`."""

    def __init__(self) -> None:
        self.running: list[Application] = []

    def start(self, directory: Path, slots: int = 1024, missed: int = 0) -> Application:
        """Start one that has made its ring in `directory` and written nothing into it."""
        command_read, command_write = os.pipe()
        answer_read, answer_write = os.pipe()
        with warnings.catch_warnings():
            # From Python 3.12 on a fork beside threads is warned of; the child touches none.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _write_until_the_end(command_read, answer_write, directory, slots, missed)
        os.close(command_read)
        os.close(answer_write)
        application = Application(pid, command_write, answer_read)
        self.running.append(application)
        assert os.read(answer_read, 1) == b"+", "the application has made no ring"
        return application

    def kill(self, application: Application) -> None:
        self.running.remove(application)
        application.kill()

    def kill_all(self) -> None:
        for application in list(self.running):
            self.kill(application)


@contextmanager
def applications() -> Iterator[Applications]:
    """Give applications to start; what runs at the end of the block is killed."""
    started = Applications()
    try:
        yield started
    finally:
        started.kill_all()


def dead_ring(
    directory: Path, requests: Sequence[Told] = (), *, slots: int = 1024, missed: int = 0
) -> Path:
    """Leave the ring of an application that has written `requests` and is dead; return its path."""
    before = set(directory.iterdir())
    with applications() as started:
        started.start(directory, slots, missed).write(requests)
    (ring,) = set(directory.iterdir()) - before
    return ring


def _write_until_the_end(
    commands: int, answers: int, directory: Path, slots: int, missed: int
) -> None:
    try:
        # Nothing of the test's is held open by this process: no pipe, no file.
        one, other = sorted((commands, answers))
        for first, last in ((3, one), (one + 1, other), (other + 1, 4096)):
            os.closerange(first, last)
        now_ns = 0
        writer = RingWriter(str(directory), slots, missed, lambda: now_ns)
        os.write(answers, b"+")
        with os.fdopen(commands, "rb") as lines:
            for line in lines:
                for ended_at_ms, duration_us, status, path in json.loads(line):
                    now_ns = ended_at_ms * 1_000_000
                    writer.write(duration_us * 1000, status, b"GET", path.encode())
                os.write(answers, b"+")
    finally:
        os._exit(1)
