"""A process that records what it is told to, under a held clock: `python -m … DIRECTORY SLOTS`.

Only in another process a reader sees the writer's lock. It reads a command a line, and answers
each with a line when it is done.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.recording import Recorder
from tests.support.held_clock import HeldClock

_ROOT = Path(__file__).parents[2]
_DURATION_NS = 1_000_000
_HAMMERS = 4


class RecordingProcess:
    """The test's side: every method returns when the process has done it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def record(self, path: str) -> None:
        self._tell("record", path)

    def advance(self, seconds: float) -> None:
        self._tell("advance", str(seconds))

    def begin(self, path: str) -> None:
        """Record in a thread that is held as soon as it has the ring and asks for the time."""
        self._tell("begin", path)

    def finish(self) -> None:
        """Let that thread write."""
        self._tell("finish")

    def hammer(self) -> None:
        """Have threads record as fast as they may, until `rest`."""
        self._tell("hammer")

    def rest(self) -> int:
        """End the hammering, and return how many requests there were."""
        return int(self._tell("rest"))

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def _tell(self, *words: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, f"ended at {words} with {self._process.wait()}"
        return answer.removeprefix("done").strip()


@contextmanager
def recording_process(directory: Path, slots: int = 16_384) -> Iterator[RecordingProcess]:
    """Run such a process until the block ends."""
    command = [sys.executable, "-m", __name__, str(directory), str(slots)]
    with subprocess.Popen(
        command, cwd=_ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield RecordingProcess(process)
        finally:
            process.kill()


class _Commands:
    """The process's side: a method a command."""

    def __init__(self, directory: str, slots: int) -> None:
        self._clock = HeldClock()
        self._recorder = Recorder(directory, slots, self._clock)
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._counts: list[int] = []

    def record(self, path: str) -> None:
        self._recorder.record(_DURATION_NS, 200, "GET", path)

    def advance(self, seconds: str) -> None:
        self._clock.advance(float(seconds))

    def begin(self, path: str) -> None:
        self._start("held", self.record, path)
        self._clock.wait_until_held()

    def finish(self) -> None:
        self._clock.let_go()
        self._join()

    def hammer(self) -> None:
        for name in range(_HAMMERS):
            self._start(f"hammer {name}", self._hammer, str(name))

    def rest(self) -> int:
        self._is_over.set()
        self._join()
        return sum(self._counts)

    def _hammer(self, name: str) -> None:
        number = 0
        while not self._is_over.is_set():
            number += 1
            self.record(f"/{name}/{number}")
            time.sleep(0.0002)
        self._counts.append(number)

    def _start(self, name: str, target: object, *arguments: str) -> None:
        thread = threading.Thread(target=target, name=name, args=arguments)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def _main(directory: str, slots: str) -> None:
    commands = _Commands(directory, int(slots))
    for line in sys.stdin:
        command, *arguments = line.split()
        told = getattr(commands, command)(*arguments)
        print("done", told or "", flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
