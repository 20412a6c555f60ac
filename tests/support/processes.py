"""opsnap as an operator runs it: `python -m opsnap --config … COMMAND`, its log in a file."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
#: What the daemon says when the first tick is about to begin.
STARTED = "watching "
_PAGE = re.compile(r"the page is at (http://\S+)/engineering")
_LONGEST_RUN_S = 60.0


@dataclass(frozen=True)
class Running:
    """A process that was started, and the file that has everything it said."""

    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def lines_with(self, text: str) -> list[str]:
        return [line for line in self.log.splitlines() if text in line]

    def wait_for_log(self, text: str, timeout_s: float = 20.0) -> None:
        """Return when the process has said `text`; fail when it ends before that."""

        def said() -> bool:
            if text in self.log:
                return True
            assert self.process.poll() is None, f"ended before it said {text!r}:\n{self.log}"
            return False

        wait_for(said, f"{text!r} in {self.log_path.name}:\n{self.log}", timeout_s)

    def page_url(self) -> str:
        """Wait until the web app listens, and return its address without a path."""
        self.wait_for_log("the page is at ")
        found = _PAGE.search(self.log)
        assert found is not None, self.log
        return found[1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def seconds_to_end(self, number: signal.Signals, patience_s: float = 15.0) -> float:
        """Send `number` and return how long it took to end; fail after `patience_s`."""
        began = time.monotonic()
        self.send(number)
        self.process.wait(patience_s)
        return time.monotonic() - began

    def status(self, timeout_s: float = 20.0) -> int:
        """Wait for its end and return its exit status."""
        return self.process.wait(timeout_s)


@contextmanager
def running(
    config_path: Path,
    command: str,
    *arguments: str,
    log_path: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run a command of opsnap beside the test; whatever happens in the block, it is stopped.

    Its log is appended to `log_path`, by default COMMAND.log beside the configuration.
    """
    log_path = log_path or config_path.with_name(f"{command}.log")
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "opsnap", "--config", str(config_path), command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environ(environ),
            cwd=ROOT,
        )
    try:
        yield Running(process, log_path)
    finally:
        process.kill()
        process.wait()


def run(
    *arguments: str | Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `opsnap ARGUMENTS` to its end and return its status and what it said."""
    return subprocess.run(
        [sys.executable, "-m", "opsnap", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env=_environ(environ),
        cwd=ROOT,
        timeout=_LONGEST_RUN_S,
        check=False,
    )


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return this environment with `more`, without a setting that would change what is tested."""
    ours = {k: v for k, v in os.environ.items() if k not in ("OPSNAP_CONFIG", "JOURNAL_STREAM")}
    return {**ours, **(more or {})}
