"""For ASGI applications: FastAPI, Starlette, Django under uvicorn or hypercorn."""

from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any

from .recording import Recorder
from .ring import DEFAULT_SLOTS

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]


class AsgiLatencyRecorder:
    """ASGI middleware: records each HTTP request, from its call to the application's end.

    `app = AsgiLatencyRecorder(app, "/run/opsnap/latency")`
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], directory: Any, slots: int = DEFAULT_SLOTS
    ) -> None:
        self._app = app
        self._record = Recorder(directory, slots).record

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Pass the request on unchanged; lifespan and websockets are not timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_ns = perf_counter_ns()
        status = 0

        async def send_on(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except BaseException:
            status = status or 500
            raise
        finally:
            duration_ns = perf_counter_ns() - began_ns
            self._record(duration_ns, status, scope["method"], scope["path"])
