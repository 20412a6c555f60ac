"""A real gunicorn whose access log is rotated under way: every request counted, once."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.logs import USERS, collecting, interval_counts, samples, windows
from tests.support.waiting import wait_for

PROJECT = Path(__file__).parents[1]


@contextmanager
def _gunicorn(log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A real gunicorn with two workers that writes `log`; yields it and its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    form = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
    command = [sys.executable, "-m", "gunicorn", "tests.support.small_app:app", "--workers", "2"]
    command += ["--bind", f"127.0.0.1:{port}", "--access-logfile", str(log)]
    command += ["--access-logformat", form]
    # Newer versions put a control socket there.
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(log.parent)}
    with subprocess.Popen(command, cwd=PROJECT, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: _ask(port, "/health"), "gunicorn answers")
            yield process, port
        finally:
            process.terminate()
            process.wait()


def _ask(port: int, path: str, **headers: str) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().read()
    except OSError:
        return None
    finally:
        connection.close()


def test_a_real_gunicorns_workers_are_counted_exactly_through_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    hostile = {"User-Agent": 'x" 3600000000', "Referer": '[20/Nov/2026:10:13:30 +0000] "GET / H"'}
    with _gunicorn(log) as (server, port):
        collector = collecting(log)
        collector.sample()
        workers: Counter[bytes | None] = Counter()
        for _ in range(15):
            workers[_ask(port, "/api/feed?page=2", **hostile)] += 1
        log.rename(log.with_name("access.log.1"))
        # Not told to reopen yet: both still write to the renamed file.
        for _ in range(15):
            workers[_ask(port, "/api/feed", **hostile)] += 1
        wait_for(lambda: samples(collector) == 30, "30 requests are counted")
        os.kill(server.pid, signal.SIGUSR1)
        wait_for(log.exists, "gunicorn has reopened its log")
        for _ in range(15):
            workers[_ask(port, "/api/feed", **hostile)] += 1
        wait_for(lambda: samples(collector) == 45, "45 requests are counted")
        latency = windows(collector)[USERS]
    assert sum(workers.values()) == 45
    assert None not in workers
    assert (latency["samples"], latency["unparsed"], latency["lost"]) == (45, 0, 0)
    assert latency["max"] < 60_000, "an hour was forged"
    assert interval_counts(collector)["latency"] == 45
