"""Processes that are measured: started with a log each, read through /proc, always ended."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = 5.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: utime and stime in /proc/PID/stat, counted from the field after the command's name.
_CPU_FIELDS = slice(11, 13)

Process = subprocess.Popen[bytes]


class BrokenBenchmarkError(Exception):
    """What was to be measured did not run as it should; there is no figure."""


@dataclass(frozen=True)
class Memory:
    """Memory of processes in MB (10^6 bytes): resident, and with shared pages divided."""

    rss_mb: float
    pss_mb: float


@contextmanager
def running(
    log: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """Run `python -m …` in the background, its output in `log`, until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def output_of(*arguments: str) -> bytes:
    """Run `python -m …` to its end and return what it wrote."""
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace")[-2000:]
        raise BrokenBenchmarkError(f"{arguments[0]} ended with {done.returncode}: {told}")
    return done.stdout


def require_alive(process: Process, log: Path) -> None:
    """Return while `process` runs. Raises BrokenBenchmarkError with the end of its log."""
    if process.poll() is not None:
        told = log.read_text(errors="replace")[-2000:]
        raise BrokenBenchmarkError(f"{log.stem} ended with {process.returncode}: {told}")


def wait_until_answering(process: Process, log: Path, port: int, path: str) -> None:
    """Return when `path` on `port` answers 200."""
    ends = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < ends:
        require_alive(process, log)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise BrokenBenchmarkError(f"{log.stem}: no answer from {path}")


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that `pid` and its descendants have used."""
    ticks = 0
    for one in _tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[_CPU_FIELDS]))
    return ticks / _TICKS_PER_S


def memory(*pids: int) -> Memory:
    """Return the memory of `pids` and their descendants together."""
    found = {"Rss": 0, "Pss": 0}
    for one in [member for pid in pids for member in _tree(pid)]:
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] += int(rest.split()[0])
    return Memory(found["Rss"] * 1024 / 1e6, found["Pss"] * 1024 / 1e6)


def _tree(pid: int) -> list[int]:
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += map(int, (task / "children").read_text().split())
    return [pid, *(member for child in children for member in _tree(child))]
