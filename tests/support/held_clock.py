"""A time of day that goes on only when a test says so."""

import threading
import time

_NS = 1_000_000_000


class HeldClock:
    """Call it for the time in nanoseconds since the Unix epoch; it begins with the real one."""

    def __init__(self) -> None:
        self._now_ns = time.time_ns()
        self._is_held = threading.Event()
        self._may_go = threading.Event()

    def __call__(self) -> int:
        now_ns = self._now_ns
        if threading.current_thread().name == "held":
            self._is_held.set()
            self._may_go.wait()
        return now_ns

    def advance(self, seconds: float) -> None:
        self._now_ns += int(seconds * _NS)

    def wait_until_held(self) -> None:
        """Return when the thread named "held" has asked for the time: it gets no answer yet."""
        assert self._is_held.wait(20), "nobody asked for the time"

    def let_go(self) -> None:
        """Answer the thread named "held" with the time at which it asked."""
        self._may_go.set()
