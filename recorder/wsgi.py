"""For WSGI applications: Flask, Django, and whatever runs under gunicorn or uWSGI."""

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns
from typing import Any

from .recording import Recorder
from .ring import DEFAULT_SLOTS

StartResponse = Callable[..., Any]


class LatencyRecorder:
    """WSGI middleware: records each request from its call to the close of its response.

    `app.wsgi_app = LatencyRecorder(app.wsgi_app, "/run/opsnap/latency")`
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], directory: Any, slots: int = DEFAULT_SLOTS
    ) -> None:
        self._app = app
        self._record = Recorder(directory, slots).record

    def __call__(self, environ: Any, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, and its response back, unchanged."""
        timing = _Timing(self._record, environ, start_response)
        try:
            return _Response(self._app(environ, timing.start_response), timing)
        except BaseException:
            timing.status = 500
            timing.finish()
            raise


class _Timing:
    """When a request began, and what status it got."""

    __slots__ = ("_began_ns", "_environ", "_record", "_start_response", "status")

    def __init__(
        self, record: Callable[..., None], environ: Any, start_response: StartResponse
    ) -> None:
        self._record = record
        self._environ = environ
        self._start_response = start_response
        self.status = 0
        self._began_ns: int | None = perf_counter_ns()

    def start_response(self, status: str, headers: Any, *exc_info: Any) -> Any:
        try:
            self.status = int(status[:3])
        except ValueError:
            self.status = 0
        return self._start_response(status, headers, *exc_info)

    def finish(self) -> None:
        """Record the request, the first time that this is called."""
        began_ns, self._began_ns = self._began_ns, None
        if began_ns is not None:
            environ = self._environ
            path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            method = environ.get("REQUEST_METHOD", "")
            self._record(perf_counter_ns() - began_ns, self.status, method, path)


class _Response:
    """The application's response, which tells when it is closed."""

    __slots__ = ("_body", "_timing")

    def __init__(self, body: Iterable[bytes], timing: _Timing) -> None:
        self._body = body
        self._timing = timing

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._timing.finish()
