"""Recording into this process's ring, and never being in the way of a request."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from time import time_ns
from typing import Any, Optional

from .placing import check_room
from .ring import DEFAULT_SLOTS, MOST_SLOTS, RingWriter, ring_size

#: After a failure requests pass unrecorded for so long, until a ring is tried again.
TRY_EVERY_NS = 10_000_000_000

#: A line for the log: level, text and the value in it; None if there is no news.
_News = Optional[tuple[int, str, object]]

_log = logging.getLogger("opsnap_recorder")

# Every live recorder, so that a fork can take the parent's ring away from the child.
_recorders: weakref.WeakSet[Recorder] = weakref.WeakSet()


class Recorder:
    """Writes requests into a ring in `directory`, made at the first request of each process.

    Whatever goes wrong, `record` returns. While no ring can be made or written, requests pass
    unrecorded: one warning is logged, a ring is tried every 10 s, and the header of the next one
    tells how many were missed. `now_ns` is the time of day. Raises ValueError when `slots` are none
    or more than readers take.
    """

    def __init__(
        self, directory: Any, slots: int = DEFAULT_SLOTS, now_ns: Callable[[], int] = time_ns
    ) -> None:
        if not 0 < slots <= MOST_SLOTS:
            raise ValueError(f"slots have to be from 1 to {MOST_SLOTS}, not {slots!r}")
        self._directory = os.path.abspath(os.fsdecode(directory))
        self._slots = slots
        self._now_ns = now_ns
        self._begin()
        _recorders.add(self)

    def _begin(self) -> None:
        # Reentrant: with the lock held, garbage may be collected that ends a request.
        self._lock = threading.RLock()
        self._writer: RingWriter | None = None
        self._missed = 0
        self._is_failing = False
        self._tried_ns = 0

    def record(self, duration_ns: int, status: int, method: str, path: str) -> None:
        """Record one request of this process that ends now. Never raises.

        `status` is from 0 to 65535. `method` and `path` may be any text.
        """
        writer = self._writer
        try:
            verb = method.encode("latin-1", "replace")
            place = path.encode("latin-1", "replace")
            while writer is None or not writer.write(duration_ns, status, verb, place):
                writer = self._writer_after(writer)
                if writer is None:
                    break
        except Exception as error:  # noqa: BLE001 - a request matters more than its record
            self._drop(writer, error)

    def _writer_after(self, gone: RingWriter | None) -> RingWriter | None:
        """Return a writer other than `gone`; count a missed request if there can be none now."""
        with self._lock:
            if self._writer is gone:
                self._writer = None
            news = self._open() if self._writer is None and self._is_time_to_try() else None
            writer = self._writer
            if writer is None:
                self._missed += 1
        _tell(news)
        return writer

    def _drop(self, writer: RingWriter | None, error: Exception) -> None:
        """Do without a ring that could not be written, and count a missed request."""
        with self._lock:
            self._missed += 1
            news = None
            if self._writer is writer:
                self._writer = None
                self._tried_ns = self._now_ns()
                news = self._fail(error)
        _tell(news)

    def _is_time_to_try(self) -> bool:
        # Two sides: the time of day can be set back.
        return not self._tried_ns <= self._now_ns() < self._tried_ns + TRY_EVERY_NS

    def _open(self) -> _News:
        try:
            check_room(self._directory, ring_size(self._slots))
            self._writer = RingWriter(self._directory, self._slots, self._missed, self._now_ns)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
            self._tried_ns = self._now_ns()
            return self._fail(error)
        missed, self._missed = self._missed, 0
        was_failing, self._is_failing = self._is_failing, False
        if was_failing:
            return logging.INFO, "requests are recorded again; %d were missed", missed
        return None

    def _fail(self, error: Exception) -> _News:
        was_failing, self._is_failing = self._is_failing, True
        if was_failing:
            return None
        return logging.WARNING, "requests are not recorded, until a new try succeeds: %r", error

    def _begin_anew(self) -> None:
        writer = self._writer
        self._begin()
        if writer is not None:
            writer.abandon()


def _tell(news: _News) -> None:
    """Log it. Not under the lock: a log may be slow, and other requests are not to wait for it."""
    if news is not None:
        with suppress(Exception):
            _log.log(*news)


def _after_fork_in_child() -> None:
    for recorder in list(_recorders):
        recorder._begin_anew()


os.register_at_fork(after_in_child=_after_fork_in_child)
