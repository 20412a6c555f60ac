"""For WSGI applications: Flask, Django, and whatever runs under gunicorn or uWSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter_ns, time_ns
from typing import Any

from .recording import Recorder
from .ring import DEFAULT_SLOTS


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

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Pass the request on, and its response back, unchanged."""
        timing = _Timing(self._record, environ, start_response)
        try:
            body = self._app(environ, timing.start_response)
            if _is_file(body, environ.get("wsgi.file_wrapper")) and _tells_close(body, timing):
                return body
            return (_SizedBody if hasattr(type(body), "__len__") else _Body)(body, timing)
        except BaseException:
            timing.status = 500
            timing.finish()
            raise


class _Timing:
    """A request: when it began, what it asked for, and what status it got."""

    __slots__ = ("_began_ns", "_method", "_path", "_record", "_start_response", "status")

    def __init__(
        self, record: Callable[..., None], environ: Any, start_response: Callable[..., Any]
    ) -> None:
        self._began_ns: int | None = perf_counter_ns()
        self._record = record
        self._start_response = start_response
        # Now: an application may rewrite them. As text, whatever they are.
        self._method = f"{environ.get('REQUEST_METHOD', '')}"
        self._path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        self.status = 0

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        try:
            self.status = max(0, int(status[:3]))
        except (TypeError, ValueError):
            self.status = 0
        if exc_info is None:
            return self._start_response(status, headers)
        return self._start_response(status, headers, exc_info)

    def finish(self) -> None:
        """Record the request, the first time that this is called."""
        began_ns, self._began_ns = self._began_ns, None
        if began_ns is not None:
            self._record(perf_counter_ns() - began_ns, self.status, self._method, self._path)


class _Body:
    """The application's response, which tells when it is closed."""

    __slots__ = ("_body", "_timing")

    def __init__(self, body: Iterable[bytes], timing: _Timing) -> None:
        self._body = body
        self._timing = timing

    def __iter__(self) -> Iterator[bytes]:
        body = self._body
        return iter(body) if isinstance(body, (list, tuple)) else self._parts()

    def _parts(self) -> Iterator[bytes]:
        parts = iter(self._body)
        try:
            first = next(parts)
        except StopIteration:
            return
        except Exception:
            # Nothing has been sent yet, so the visitor gets the server's own answer.
            self._timing.status = 500
            raise
        yield first
        # No `yield from`: it would close the application's iterator, which is the server's part.
        for part in parts:
            yield part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._timing.finish()


class _SizedBody(_Body):
    """A response with a length: from a length of 1 some servers tell the Content-Length."""

    __slots__ = ()

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


def _is_file(body: Any, wrapper: Any) -> bool:
    """Say whether the server may know `body` again, and send its file by itself."""
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    # uWSGI's wrapper is a function: it notes the file, and returns it as it is.
    return wrapper is not None and hasattr(body, "read")


def _tells_close(body: Any, timing: _Timing) -> bool:
    """Have `body` itself tell when it is closed; return False if it does not allow that."""
    close = getattr(body, "close", None)

    def close_and_finish() -> None:
        try:
            if close is not None:
                close()
        finally:
            timing.finish()

    try:
        body.close = close_and_finish
    except (AttributeError, TypeError):
        return False
    return True
