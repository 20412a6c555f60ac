"""The demo's processes: each with a log of its own, all stopped together."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_PATIENCE_S = 3.0


#: What ends the demo, each as KeyboardInterrupt.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessDiedError(Exception):
    """One of the demo's processes ended by itself; the text has the end of its log."""


class Processes:
    """Started in order, stopped in the opposite one. Their logs are in `log_directory`."""

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._told: set[str] = set()

    def run(self, name: str, *arguments: str) -> None:
        """Run `python -m …` to its end. Raises ProcessDiedError unless it ends well."""
        self.start(name, *arguments)
        process = self._running[name]
        if process.wait() != 0:
            self.require_all_alive()
        del self._running[name]

    def start(self, name: str, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        """Start `python -m …` in the background, deaf to the terminal's Ctrl-C."""
        with self._log_path(name).open("ab") as log, _signals_deferred():
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environ or {})},
                start_new_session=True,
            )

    def require_all_alive(self) -> None:
        """Return while every process runs. Raises ProcessDiedError when one has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                text = self._log_path(name).read_text(errors="replace")[-2000:]
                msg = f"{name} ended with status {process.returncode}:\n{text}"
                raise ProcessDiedError(msg)

    def newly_dead(self) -> list[str]:
        """Return the names of the processes that have ended since the last call."""
        dead = [n for n, p in self._running.items() if n not in self._told and p.poll() is not None]
        self._told.update(dead)
        return dead

    def stop(self) -> None:
        """End every process, the last one first; one that does not end in time is killed."""
        for process in reversed(self._running.values()):
            process.terminate()
        ends = time.monotonic() + _STOP_PATIENCE_S
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, ends - time.monotonic()))
            # The whole session: a platform's workers outlive their master while they are busy.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()

    def _log_path(self, name: str) -> Path:
        return self._log_directory / f"{name}.log"


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Let signals wait for the end of the block, so that no process is started and forgotten."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: received.append(number))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt
