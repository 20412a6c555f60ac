"""An application with a response of each kind, to compare what servers make of them.

As a program it serves the application: `python -m … SERVER FD`, on a socket that listens already.
With `RINGS_DIR` it has the recorder. Into `SEEN_FILE` its outermost middleware, which is what the
server calls, writes what it gives to the server.
"""

import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import waitress

from recorder import LatencyRecorder
from tests.support.wsgi_calls import Wsgi

#: More than any server sends at once.
FILE_CONTENT = b"".join(b"%07d\n" % number for number in range(50_000))
PATHS = ("/one", "/two", "/none", "/stream", "/empty-stream", "/file", "/nothing", "/raises")


def create() -> Wsgi:
    """Return the application that the environment variables describe."""
    app: Wsgi = _answer
    if rings := os.environ.get("RINGS_DIR"):
        app = LatencyRecorder(app, rings)
    return _Seeing(app, Path(os.environ["SEEN_FILE"]))


def _answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise LookupError("on purpose")
    if path == "/nothing":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/file":
        return _file(environ)
    bodies: dict[str, Iterable[bytes]] = {
        "/one": [b"one part"],
        "/two": (b"one", b"two"),
        "/none": [],
        "/stream": _stream(b"first", b"second"),
        "/empty-stream": _stream(),
    }
    return bodies[path]


def _stream(*parts: bytes) -> Iterator[bytes]:
    yield from parts


def _file(environ: dict[str, Any]) -> Iterable[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(FILE_CONTENT)
    file.seek(0)
    body: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 8192)
    return body


class _Seeing:
    """Writes a line a response: the path, and whether the server will know a file in it."""

    def __init__(self, app: Wsgi, seen: Path) -> None:
        self._app, self._seen = app, seen

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        response = self._app(environ, start_response)
        is_file = isinstance(response, environ["wsgi.file_wrapper"])
        with self._seen.open("a") as file:
            file.write(f"{environ['PATH_INFO']} {'file' if is_file else 'no file'}\n")
        return response


def _gunicorn(listener: socket.socket) -> None:
    sys.argv[1:] = [f"{__spec__.name}:create()", "--bind", f"fd://{listener.detach()}"]
    sys.argv += ["--no-control-socket", "--worker-tmp-dir", os.environ["TMPDIR"]]
    runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)


def _waitress(listener: socket.socket) -> None:
    waitress.serve(create(), sockets=[listener])


def _wsgiref(listener: socket.socket) -> None:
    address = listener.getsockname()
    with WSGIServer(address, WSGIRequestHandler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket, (server.server_name, server.server_port) = listener, address
        server.setup_environ()
        server.set_app(create())
        server.serve_forever()


if __name__ == "__main__":
    serve = {"gunicorn": _gunicorn, "waitress": _waitress, "wsgiref": _wsgiref}[sys.argv[1]]
    serve(socket.socket(fileno=int(sys.argv[2])))
