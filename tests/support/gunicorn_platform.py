"""A real gunicorn with several workers, the load on it, and what may befall its workers."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.request_counts import Completed, completed, is_certain_what_is_over
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
WORKERS = 4
RECYCLED_AFTER = 500
PATHS = ("/api/feed", "/api/feed", "/api/videos/3", "/api/stream", "/api/broken", "/admin/backfill")
_ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
_STOP_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Platform:
    """A gunicorn: its master, its port, and where its application counts its requests."""

    master: subprocess.Popen[bytes]
    port: int
    counts: Path

    def workers(self) -> list[int]:
        """Return the process ids of the workers that run now."""
        tasks = Path(f"/proc/{self.master.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def completed(self) -> dict[str, Completed]:
        """Return what the application says that it completed, by class. To be asked at the end."""
        return completed(self.counts)

    def reopen_logs(self) -> None:
        self.master.send_signal(signal.SIGUSR1)

    def kill_a_worker(self) -> None:
        """Kill -9 one of the workers at any moment but the last microseconds of a request.

        In those nobody can say whether the request was completed: the worker is let go on.
        """
        while True:
            with (
                suppress(ProcessLookupError, FileNotFoundError),
                stopped(pid := random.choice(self.workers())),
            ):
                if is_certain_what_is_over(self.counts, pid):
                    os.kill(pid, signal.SIGKILL)
                    return

    def stop(self) -> None:
        """End it as an operator does; every request that came in is answered."""
        self.master.terminate()
        self.master.wait(_STOP_PATIENCE_S)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Hold `pids` still in the block: each of their threads stands, and none of them knows."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        for pid in pids:
            wait_for(lambda pid=pid: _stands_still(pid), f"{pid} stands still")
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _stands_still(pid: int) -> bool:
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) <= set("TZX")


@contextmanager
def gunicorn(
    directory: Path,
    *arguments: str,
    rings: Path | None = None,
    access_log: Path | None = None,
) -> Iterator[Platform]:
    """Run gunicorn in `directory` with workers that are recycled, until the block ends.

    With `rings` its application has the recorder, with `access_log` it writes that.
    """
    counts = directory / "counts"
    counts.mkdir()
    environ = {**os.environ, "COUNTS_DIR": str(counts)}
    if rings is not None:
        environ["RINGS_DIR"] = str(rings)
    command = [sys.executable, "-m", "gunicorn", "tests.support.counted_app:create()"]
    command += ["--workers", str(WORKERS), "--max-requests", str(RECYCLED_AFTER)]
    command += ["--worker-tmp-dir", str(directory), "--no-control-socket", *arguments]
    if access_log is not None:
        command += ["--access-logfile", str(access_log), "--access-logformat", _ACCESS_FORMAT]
    with (
        socket.create_server(("127.0.0.1", 0), backlog=512) as listener,
        (directory / "gunicorn.log").open("wb") as log,
    ):
        port, fd = listener.getsockname()[1], listener.fileno()
        master = subprocess.Popen(
            [*command, "--bind", f"fd://{fd}"],
            cwd=ROOT,
            env=environ,
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    platform = Platform(master, port, counts)
    try:
        wait_for(lambda: len(platform.workers()) == WORKERS, "gunicorn has its workers")
        yield platform
    finally:
        with suppress(subprocess.TimeoutExpired):
            platform.stop()
        master.kill()
        master.wait()


@dataclass
class Answers:
    """What the load says that it got, once it is over."""

    answers: int = 0
    cut_off: int = 0


@contextmanager
def load(port: int, paths: tuple[str, ...] = PATHS, connections: int = 12) -> Iterator[Answers]:
    """Put the platform at `port` under load in the block, and say what came of it afterwards."""
    command = [sys.executable, "-m", "tests.support.load", str(port), str(connections), *paths]
    got = Answers()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            yield got
            assert process.poll() is None, "the load ended before its time"
        except BaseException:
            process.kill()
            raise
        process.terminate()
        told, _ = process.communicate(timeout=_STOP_PATIENCE_S)
    assert process.returncode == 0
    for name, value in json.loads(told).items():
        setattr(got, name, value)


def every_second(seconds: int) -> Iterator[int]:
    """Yield at the end of each of so many seconds from now on."""
    began = time.monotonic()
    for second in range(1, seconds + 1):
        time.sleep(max(0.0, began + second - time.monotonic()))
        yield second
