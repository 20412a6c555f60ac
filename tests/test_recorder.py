"""The recorder in an application: it tells what happened, and changes nothing."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.requests import Request
from recorder import AsgiLatencyRecorder, LatencyRecorder
from recorder.recording import Recorder
from tests.support.rings import RingReader

_PROJECT = Path(__file__).parents[1]


def _environ(path: str = "/watch/abc", method: str = "GET") -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "x=1"}


def _call(app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> tuple[str, bytes]:
    """Call `app` as a server does: start, iterate, close."""
    told: list[str] = []
    response = app(environ, lambda status, headers, exc_info=None: told.append(status))
    try:
        body = b"".join(response)
    finally:
        if (close := getattr(response, "close", None)) is not None:
            close()
    return told[0], body


def _hello(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


def _recorded(directory: Path) -> list[Request]:
    return list(RingReader(directory).read_new())


def test_a_request_is_recorded_with_its_status_and_path_and_without_its_query(
    tmp_path: Path,
) -> None:
    app = LatencyRecorder(_hello, tmp_path)
    assert _call(app, _environ("/watch/abc")) == ("200 OK", b"hello")
    (request,) = _recorded(tmp_path)
    assert (request.status, request.path) == (200, "/watch/abc")
    assert 0 < request.duration_us < 1_000_000


def test_a_streamed_response_lasts_until_it_is_closed(tmp_path: Path) -> None:
    pause = threading.Event()

    def stream(_environ: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for part in (b"a", b"b"):
            pause.wait(0.05)
            yield part

    assert _call(LatencyRecorder(stream, tmp_path), _environ()) == ("200 OK", b"ab")
    (request,) = _recorded(tmp_path)
    assert 100_000 <= request.duration_us < 1_000_000


def test_a_client_that_goes_away_in_the_middle_is_recorded_once(tmp_path: Path) -> None:
    closed = []

    def stream(_environ: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    response = LatencyRecorder(stream, tmp_path)(_environ(), lambda *_: None)
    assert next(iter(response)) == b"a"
    response.close()  # type: ignore[attr-defined]
    response.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert len(_recorded(tmp_path)) == 1


def test_an_exception_is_recorded_as_a_failure_of_the_server_and_passes_on(
    tmp_path: Path,
) -> None:
    def fail(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        _call(LatencyRecorder(fail, tmp_path), _environ())
    assert [request.status for request in _recorded(tmp_path)] == [500]


def test_an_asgi_request_is_recorded_and_a_lifespan_is_not(tmp_path: Path) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"no"})

    async def ask(kind: str) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": kind, "method": "GET", "path": "/nothing"}
        await AsgiLatencyRecorder(application, tmp_path)(scope, None, send)  # type: ignore[arg-type]
        return sent

    assert [message["type"] for message in asyncio.run(ask("http"))] == [
        "http.response.start",
        "http.response.body",
    ]
    assert asyncio.run(ask("lifespan")) == []
    assert [(r.status, r.path) for r in _recorded(tmp_path)] == [(404, "/nothing")]


@pytest.mark.parametrize("path", ["/" + "ä" * 200, "/\udc80", "", "/" + "x" * 10_000])
def test_a_strange_path_is_cut_and_harms_nothing(tmp_path: Path, path: str) -> None:
    assert _call(LatencyRecorder(_hello, tmp_path), _environ(path)) == ("200 OK", b"hello")
    (request,) = _recorded(tmp_path)
    assert len(request.path) <= 88


def _missing(directory: Path) -> Path:
    return directory / "not-there"


def _a_file(directory: Path) -> Path:
    (directory / "file").write_text("not a directory")
    return directory / "file"


def _full_device(_directory: Path) -> Path:
    return Path("/proc/self")  # takes no file, for root neither


@pytest.mark.parametrize("place", [_missing, _a_file, _full_device])
def test_a_directory_that_takes_no_ring_costs_one_warning_and_no_response(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: Callable[[Path], Path]
) -> None:
    app = LatencyRecorder(_hello, place(tmp_path))
    with caplog.at_level(logging.WARNING):
        answers = [_call(app, _environ()) for _ in range(20)]
    assert answers == [("200 OK", b"hello")] * 20
    assert len(caplog.records) == 1
    assert "not recorded" in caplog.text


def test_a_directory_that_disappears_later_harms_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "rings"
    directory.mkdir()
    app = LatencyRecorder(_hello, directory)
    _call(app, _environ())
    for ring in directory.iterdir():
        ring.unlink()
    directory.rmdir()
    assert [_call(app, _environ()) for _ in range(5)] == [("200 OK", b"hello")] * 5


def test_a_file_that_is_damaged_while_it_is_written_harms_neither_side(tmp_path: Path) -> None:
    app = LatencyRecorder(_hello, tmp_path, slots=64)
    for number in range(10):
        _call(app, _environ(f"/{number}"))
    (ring,) = tmp_path.glob("*.ring")
    with ring.open("r+b") as file:
        file.seek(128 * 4)
        file.write(os.urandom(128 * 2))
    assert _call(app, _environ("/10")) == ("200 OK", b"hello")
    paths = [request.path for request in _recorded(tmp_path)]
    assert paths == [f"/{number}" for number in range(11) if number not in (3, 4)]


def test_a_fork_in_the_middle_gives_parent_and_child_a_ring_each(tmp_path: Path) -> None:
    # In a process of its own: to fork this one, with its threads, would be a risk of the test.
    script = f"""
import os, sys
from recorder.recording import Recorder
recorder = Recorder({str(tmp_path)!r})
recorder.record(1_000_000, 200, "GET", "/before")
pid = os.fork()
for number in range(50):
    recorder.record(1_000_000, 200, "GET", f"/{{'child' if pid == 0 else 'parent'}}/{{number}}")
if pid:
    os.waitpid(pid, 0)
"""
    subprocess.run([sys.executable, "-c", script], cwd=_PROJECT, check=True)
    assert len(list(tmp_path.glob("*.ring"))) == 2
    expected = {"/before", *(f"/{who}/{n}" for who in ("child", "parent") for n in range(50))}
    paths = [request.path for request in _recorded(tmp_path)]
    assert len(paths) == len(expected)
    assert set(paths) == expected


def test_threads_record_every_request_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, slots=8192)
    record = recorder.record

    def work(name: int) -> None:
        for number in range(500):
            record(1_000_000, 200, "GET", f"/{name}/{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paths = [request.path for request in _recorded(tmp_path)]
    assert len(paths) == 4000
    assert set(paths) == {f"/{name}/{number}" for name in range(8) for number in range(500)}


def test_the_package_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import recorder; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} "
        "- set(sys.stdlib_module_names) - {'recorder'}))"
    )
    told = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=_PROJECT, check=True, capture_output=True
    )
    assert told.stdout.decode().strip() == "[]"


def test_a_worker_killed_with_9_loses_nothing_that_it_recorded(tmp_path: Path) -> None:
    script = f"""
import os, signal
from recorder.recording import Recorder
recorder = Recorder({str(tmp_path)!r})
for number in range(300):
    recorder.record(1_000_000, 200, "GET", f"/{{number}}")
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=_PROJECT, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [request.path for request in _recorded(tmp_path)] == [f"/{n}" for n in range(300)]
