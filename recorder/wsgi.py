"""For WSGI applications: Flask, Django, and whatever runs under gunicorn or uWSGI.

Under a server every line here costs several times what it does in a loop: the application has had
the processor's caches in between. So a request makes one object and few calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from time import perf_counter_ns, time_ns
from typing import Any

from .recording import Recorder
from .ring import DEFAULT_SLOTS

# The usual status lines, as Django and as Werkzeug write them: one look instead of reading them.
_CODES = {
    f"{code.value} {phrase}": code.value
    for code in HTTPStatus
    for phrase in (code.phrase, code.phrase.upper())
}


class LatencyRecorder:
    """WSGI middleware: records each request from its call to the close of its response.

    `app.wsgi_app = LatencyRecorder(app.wsgi_app, "/run/opsnap/latency")`

    `slots` is how many requests a ring holds until they are overwritten, `now_ns` the time of day.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        directory: Any,
        slots: int = DEFAULT_SLOTS,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._app = app
        self._record = Recorder(directory, slots, now_ns).record
        # The newest type of a response that is no file and has no length: most applications have
        # one for everything, and asking the type is dearer than knowing it again.
        self._plain_type: type | None = None

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass the request on, and its response back, unchanged."""
        response = _Response()
        response.began_ns = perf_counter_ns()
        response.record = self._record
        response.server_start_response = start_response
        response.status = 0
        # Now: an application may rewrite them. As text, whatever they are.
        response.method = f"{environ.get('REQUEST_METHOD', '')}"
        response.path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        try:
            response.body = body = self._app(environ, response.start_response)
            if type(body) is self._plain_type:
                return response
            return self._in_its_form(response, body, environ.get("wsgi.file_wrapper"))
        except BaseException:
            response.status = 500
            response.finish()
            raise

    def _in_its_form(self, response: _Response, body: Any, wrapper: Any) -> Iterable[bytes]:
        """Return what shows the server all that it may look for in the application's `body`."""
        if _is_file(body, wrapper) and _tells_close(body, response):
            return body  # type: ignore[no-any-return]
        if isinstance(body, (list, tuple)):
            response.__class__ = _ListResponse
        elif hasattr(type(body), "__len__"):
            response.__class__ = _SizedResponse
        elif wrapper is None or isinstance(wrapper, type):
            # Where the wrapper is a function, the type does not tell what is a file.
            self._plain_type = type(body)
        return response


class _Response:
    """A request, and in the place of the application's response what tells when it is closed.

    Without an `__init__`, which would be one more call in every request.
    """

    __slots__ = (
        "began_ns",
        "body",
        "method",
        "path",
        "record",
        "server_start_response",
        "status",
    )

    began_ns: int | None
    body: Iterable[bytes]
    method: str
    path: str
    record: Callable[[int, int, str, str], None]
    server_start_response: Callable[..., Any]
    status: int

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        try:
            self.status = _CODES[status]
        except (KeyError, TypeError):
            self.status = _code(status)
        if exc_info is None:
            return self.server_start_response(status, headers)
        return self.server_start_response(status, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        parts = iter(self.body)
        try:
            first = next(parts)
        except StopIteration:
            return
        except Exception:
            # Nothing has been sent yet, so the visitor gets the server's own answer.
            self.status = 500
            raise
        yield first
        # No `yield from`: it would close the application's iterator, which is the server's part.
        for part in parts:
            yield part

    def close(self) -> None:
        try:
            close = getattr(self.body, "close", None)
            if close is not None:
                close()
        finally:
            self.finish()

    def finish(self) -> None:
        """Record the request, the first time that this is called."""
        began_ns, self.began_ns = self.began_ns, None
        if began_ns is not None:
            self.record(perf_counter_ns() - began_ns, self.status, self.method, self.path)


class _SizedResponse(_Response):
    """A response with a length: from a length of 1 some servers tell the Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.body)  # type: ignore[arg-type]


class _ListResponse(_SizedResponse):
    """One of which no part can fail."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)


def _code(status: Any) -> int:
    """Return the number that a status line begins with, 0 if there is none."""
    try:
        return max(0, int(status[:3]))
    except (TypeError, ValueError):
        return 0


def _is_file(body: Any, wrapper: Any) -> bool:
    """Say whether the server may know `body` again, and send its file by itself."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # uWSGI's wrapper is a function: it notes the file, and returns it as it is.
    return wrapper is not None and hasattr(body, "read")


def _tells_close(body: Any, response: _Response) -> bool:
    """Have `body` itself tell when it is closed; return False if it does not allow that."""
    close = getattr(body, "close", None)

    def close_and_finish() -> None:
        try:
            if close is not None:
                close()
        finally:
            response.finish()

    try:
        body.close = close_and_finish
    except (AttributeError, TypeError):
        return False
    return True
