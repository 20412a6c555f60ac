"""For ASGI applications: FastAPI, Starlette, Django under uvicorn or hypercorn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns, time_ns
from typing import Any

from .recording import Recorder
from .ring import DEFAULT_SLOTS

# What carries a response's content; the one that says nothing of more is its end.
_CONTENT = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class AsgiLatencyRecorder:
    """ASGI middleware: records each HTTP request, from its call to the end of its response.

    `app = AsgiLatencyRecorder(app, "/run/opsnap/latency")`, or
    `app.add_middleware(AsgiLatencyRecorder, directory="/run/opsnap/latency")`

    `slots` is how many requests a ring holds until they are overwritten, `now_ns` the time of day.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        directory: Any,
        slots: int = DEFAULT_SLOTS,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._app = app
        self._record = Recorder(directory, slots, now_ns).record

    async def __call__(
        self,
        scope: Any,
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Pass the request on unchanged; lifespan and websockets are not timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_ns = perf_counter_ns()
        method, path = f"{scope.get('method', '')}", f"{scope.get('path', '')}"
        status = 0
        is_over = False

        def finish() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._record(perf_counter_ns() - began_ns, status, method, _as_sent(path))

        async def send_on(message: Any) -> None:
            nonlocal status
            kind = message["type"]
            if kind == "http.response.start":
                status = _status(message)
            await send(message)
            # Not at the application's end: its background tasks come after the response.
            if kind in _CONTENT and not message.get("more_body", False):
                finish()

        try:
            await self._app(scope, receive, send_on)
        except Exception:
            # The server answers for it. Who is cancelled sends nothing: the visitor went away.
            status = status or 500
            raise
        finally:
            finish()


def _status(message: Any) -> int:
    status = message.get("status")
    return int(status) if isinstance(status, int) and 0 <= status <= 999 else 0  # noqa: PLR2004


def _as_sent(path: str) -> str:
    """Return a path as WSGI has it: a character for each byte. ASGI has decoded it from UTF-8."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode("latin-1")
