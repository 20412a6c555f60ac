"""Draining the sources of requests every few seconds, beside the ticks."""

import threading
from typing import Protocol

#: Rings of the usual size take 16,384 requests of one process until the oldest is overwritten.
EVERY_S = 2.0


class Drain(Protocol):
    """Collects what is new; `is_last` says that it is not called again."""

    def __call__(self, *, is_last: bool = False) -> None:
        """Collect."""


class Draining:
    """Calls `drain` every two seconds in a thread of its own, by the monotonic clock."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="draining", daemon=True)

    def start(self) -> None:
        """Begin, with the first call at once."""
        self._thread.start()

    def stop(self, patience_s: float) -> bool:
        """Call it one last time; say whether that ended within `patience_s`."""
        self._stop.set()
        self._thread.join(max(patience_s, 0.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._drain()
            self._stop.wait(EVERY_S)
        self._drain(is_last=True)
