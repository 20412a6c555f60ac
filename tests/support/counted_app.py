"""An application for a real gunicorn that knows exactly which requests it has completed.

`COUNTS_DIR` is where it counts (see request_counts.py); with `RINGS_DIR` it has opsnap's recorder,
between the two moments that it counts.
"""

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from recorder import LatencyRecorder
from tests.support.request_counts import ProcessCounts

Wsgi = Callable[..., Iterable[bytes]]


def create() -> Wsgi:
    """Return the application that the environment variables describe."""
    counts = ProcessCounts(Path(os.environ["COUNTS_DIR"]))
    app: Wsgi = _Telling(_platform, lambda path, _status: counts.about_to_be_over(path))
    if rings := os.environ.get("RINGS_DIR"):
        app = LatencyRecorder(app, rings)
    return _Telling(app, counts.over)


def _platform(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/api/raises":
        raise ZeroDivisionError("on purpose")
    if path == "/api/broken":
        start_response("503 Service Unavailable", [("Content-Length", "3")])
        return [b"no\n"]
    if path == "/api/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return _drops()
    if path.startswith("/admin/"):
        time.sleep(random.uniform(0.005, 0.03))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"fine\n"]


def _drops() -> Iterator[bytes]:
    for _ in range(5):
        time.sleep(random.uniform(0.0, 0.004))
        yield b"drop\n"


class _Telling:
    """Middleware that calls `tell(path, status)` when a response is over, whatever comes of it."""

    def __init__(self, app: Wsgi, tell: Callable[[str, int], None]) -> None:
        self._app, self._tell = app, tell

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        response = _Response(self._tell, environ["PATH_INFO"], start_response)
        try:
            response.body = self._app(environ, response.start)
        except BaseException:
            self._tell(response.path, 500)
            raise
        return response


class _Response:
    def __init__(
        self, tell: Callable[[str, int], None], path: str, start_response: Callable[..., Any]
    ) -> None:
        self.body: Iterable[bytes] = ()
        self.path = path
        self._tell, self._start_response = tell, start_response
        self._status = 0

    def start(self, status: str, *more: Any) -> Any:
        self._status = int(status[:3])
        return self._start_response(status, *more)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        try:
            if hasattr(self.body, "close"):
                self.body.close()
        finally:
            self._tell(self.path, self._status)
