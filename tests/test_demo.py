import json
import re
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support.processes import ROOT
from tests.support.waiting import wait_for

#: In the environment of everything that a demo starts, so that all of it can be found.
_MARK = "OPSNAP_TEST_MARK"
_STARTED_S = 60.0
_PAGE = re.compile(r"The page:\s+(http://127\.0\.0\.1:\d+/engineering)")


@dataclass(frozen=True)
class Demo:
    process: subprocess.Popen[bytes]
    directory: Path

    @property
    def said(self) -> str:
        return self.directory.with_suffix(".out").read_text()

    def page(self) -> str:
        """Wait until the page's address was printed, and return it."""

        def printed() -> re.Match[str] | None:
            assert self.process.poll() is None, self.said
            return _PAGE.search(self.said)

        return wait_for(printed, "the page's address", _STARTED_S)[1]

    def document(self) -> dict[str, Any]:
        api = self.page().replace("/engineering", "/api/engineering")
        with urllib.request.urlopen(api, timeout=10) as answer:
            document: dict[str, Any] = json.loads(answer.read())
            return document

    def processes(self) -> list[psutil.Process]:
        """Return what still runs of this demo: by its environment, its command line, its log."""
        return [one for one in psutil.process_iter() if self._started(one)]

    @contextmanager
    def long_request(self) -> Iterator[None]:
        """Keep a worker of the platform busy, as an encode of half a minute does."""
        told = tomllib.loads((self.directory / "opsnap.toml").read_text())
        port = urlsplit(told["platform"]["health_url"]).port
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /admin/backfill?seconds=30 HTTP/1.1\r\nHost: x\r\n\r\n")
            mine = connection.getsockname()
            wait_for(lambda: any(_talks_to(one, mine) for one in self.processes()), "a worker")
            yield

    def _started(self, process: psutil.Process) -> bool:
        here = str(self.directory)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            words = [*process.cmdline(), process.environ().get(_MARK, "")]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
        return process.pid != self.process.pid and any(here in word for word in words)


def _talks_to(process: psutil.Process, address: tuple[str, int]) -> bool:
    try:
        return any(one.raddr == address for one in process.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


@contextmanager
def _demo(directory: Path) -> Iterator[Demo]:
    with directory.with_suffix(".out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "opsnap", "demo", "--interval", "2", "--directory", directory],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**psutil.Process().environ(), _MARK: str(directory)},
            cwd=ROOT,
        )
    demo = Demo(process, directory)
    try:
        yield demo
    finally:
        for one in [process, *demo.processes()]:
            one.kill()
        process.wait()


def _assert_nothing_is_left(demo: Demo) -> None:
    # What was killed is gone a moment later.
    left = [one.pid for one in demo.processes()]
    wait_for(lambda: not demo.processes(), f"the end of {left}", timeout_s=1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with _demo(tmp_path_factory.mktemp("demo") / "files") as started:
        started.page()
        yield started


def test_the_page_is_there_when_its_address_is_printed(demo: Demo) -> None:
    with urllib.request.urlopen(demo.page(), timeout=10) as answer:
        assert answer.status == 200
        assert "BoTTube" in answer.read().decode()


def test_every_section_is_ok(demo: Demo) -> None:
    statuses = {name: one["status"] for name, one in demo.document()["sections"].items()}
    assert statuses == dict.fromkeys(
        (
            *("nodes", "latency", "latency_admin", "state", "queue"),
            *("outcomes", "experiments", "pipeline"),
        ),
        "ok",
    )


def test_four_nodes_answer_and_exactly_one_is_slow_enough_to_warn(demo: Demo) -> None:
    nodes = demo.document()["nodes"]
    assert sorted(node["status"] for node in nodes) == ["ok", "ok", "ok", "warn"]
    slow = [node["rtt_ms"] for node in nodes if node["status"] == "warn"]
    assert 800 <= slow[0] < 2500


def test_the_platform_runs_under_gunicorn_with_two_workers(demo: Demo) -> None:
    masters = [
        one
        for one in demo.processes()
        if "gunicorn" in one.cmdline() and one.ppid() == demo.process.pid
    ]
    assert len(masters) == 1
    assert len(masters[0].children()) == 2


def test_the_numbers_change_while_it_runs(demo: Demo) -> None:
    first = demo.document()

    def has_moved() -> bool:
        now = demo.document()
        return (
            now["taken_at"] > first["taken_at"]
            and _impressions(now) > _impressions(first)
            and now["latency"]["oldest_s"] != first["latency"]["oldest_s"]
            and now["nodes"][0]["rtt_ms"] != first["nodes"][0]["rtt_ms"]
            and now["queue"] != first["queue"]
        )

    wait_for(has_moved, "newer numbers in every kind of panel")


def _impressions(document: dict[str, Any]) -> int:
    return sum(bucket["impressions"] for bucket in document["outcomes"].values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_stops_every_process_of_the_demo(tmp_path: Path, number: signal.Signals) -> None:
    with _demo(tmp_path / "files") as demo:
        demo.page()
        # nodes, gunicorn and its two workers, GPU workers, traffic, daemon, web
        assert len(demo.processes()) == 8
        with demo.long_request():
            demo.process.send_signal(number)
            assert demo.process.wait(15) == 0
        _assert_nothing_is_left(demo)


def test_a_signal_while_it_starts_stops_what_has_been_started(tmp_path: Path) -> None:
    with _demo(tmp_path / "files") as demo:
        wait_for(lambda: len(demo.processes()) >= 2, "some of its processes")
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(15)
        _assert_nothing_is_left(demo)
        assert "Traceback" not in demo.said


def test_without_a_directory_it_leaves_no_file_behind(tmp_path: Path) -> None:
    environ = {**psutil.Process().environ(), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "opsnap", "demo", "--interval", "3"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        cwd=ROOT,
    )
    try:
        wait_for(lambda: list(tmp_path.glob("*/access.log")), "the demo's files", _STARTED_S)
    finally:
        process.terminate()
        process.communicate(timeout=15)
    assert list(tmp_path.iterdir()) == []


def test_a_second_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with _demo(tmp_path / "files") as demo:
        demo.page()
        demo.process.send_signal(signal.SIGINT)
        wait_for(lambda: "stopping" in demo.said, "the first to be noticed")
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(15)
        _assert_nothing_is_left(demo)
