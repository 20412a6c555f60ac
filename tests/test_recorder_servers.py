"""The recorder under real servers: what the visitor gets is the same with it and without it."""

import http.client
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.rings import RingReader
from tests.support.served_bodies import FILE_CONTENT, PATHS
from tests.support.waiting import wait_for

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@contextmanager
def _serving(server: str, directory: Path, **environ: str) -> Iterator[int]:
    """Run the application under `server` until the block ends, and yield its port."""
    command = [sys.executable, "-m", "tests.support.served_bodies", server]
    environ = {**os.environ, "TMPDIR": str(directory), **environ}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        process = subprocess.Popen(
            [*command, str(fd)], cwd=_ROOT, env=environ, pass_fds=(fd,), stderr=subprocess.DEVNULL
        )
    with process:
        try:
            yield port
        finally:
            process.terminate()


def _ask(port: int, path: str, method: str) -> _Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        headers = [(name, value) for name, value in response.getheaders() if name != "Date"]
        return _Answer(response.status, headers, response.read())
    finally:
        connection.close()


def _ask_all(port: int) -> dict[tuple[str, str], _Answer]:
    asked = [(path, method) for path in PATHS for method in ("GET", "HEAD")]
    return {(path, method): _ask(port, path, method) for path, method in asked}


def _wait_for_records(rings: Path, count: int) -> list[tuple[str, int]]:
    """Return path and status of each request in `rings`, as soon as there are so many."""
    reader, recorded = RingReader(rings), list[tuple[str, int]]()

    def are_there() -> bool:
        recorded.extend((request.path, request.status) for request in reader.read_new())
        return len(recorded) >= count

    wait_for(are_there, "every request is recorded")
    return recorded


@pytest.mark.parametrize("server", ["gunicorn", "waitress", "wsgiref"])
def test_every_kind_of_response_is_the_same_with_the_recorder_and_without(
    tmp_path: Path, server: str
) -> None:
    rings, seen_with, seen_without = (tmp_path / name for name in ("rings", "with", "without"))
    rings.mkdir()
    with _serving(server, tmp_path, SEEN_FILE=str(seen_without)) as port:
        without = _ask_all(port)
    with _serving(server, tmp_path, SEEN_FILE=str(seen_with), RINGS_DIR=str(rings)) as port:
        answers = _ask_all(port)
        recorded = _wait_for_records(rings, len(answers))
    assert answers == without
    # A server that knows the file in a response can send it without Python.
    assert seen_with.read_text() == seen_without.read_text()
    assert seen_with.read_text().count("/file file\n") == 2
    special = {"/nothing": 204, "/raises": 500}
    assert Counter(recorded) == Counter((path, special.get(path, 200)) for path, _ in answers)
    assert answers["/file", "GET"].body == FILE_CONTENT
    assert answers["/stream", "GET"].body == b"firstsecond"
    assert answers["/raises", "GET"].status == 500
    if server != "gunicorn":  # the other two make a Content-Length of a length of 1
        assert ("Content-Length", "8") in answers["/one", "GET"].headers
