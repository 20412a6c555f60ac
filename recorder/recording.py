"""Recording into this process's ring, and never being in the way of a request."""

import logging
import os
import threading
import weakref
from typing import Any

from .ring import DEFAULT_SLOTS, RingWriter

log = logging.getLogger("opsnap_recorder")

#: Every live recorder, so that a fork can take the parent's ring away from the child.
_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


class Recorder:
    """Writes requests into a ring in `directory`, made at the first request of each process.

    Whatever goes wrong, `record` returns: one warning is logged, and requests are not recorded
    from then on.
    """

    def __init__(self, directory: Any, slots: int = DEFAULT_SLOTS) -> None:
        self._directory = os.fspath(directory)
        self._slots = slots
        self._writer: RingWriter | None = None
        self._has_failed = False
        self._lock = threading.Lock()
        _recorders.add(self)

    def record(self, duration_ns: int, status: int, method: str, path: str) -> None:
        """Record one request of this process. `path` may be any text; never raises."""
        try:
            writer = self._writer or self._open()
            if writer is not None:
                writer.write(
                    duration_ns,
                    status,
                    method.encode("latin-1", "replace"),
                    path.encode("latin-1", "replace"),
                )
        except Exception as error:  # noqa: BLE001 - a request matters more than its record
            self._fail(error)

    def _open(self) -> RingWriter | None:
        with self._lock:
            if self._writer is None and not self._has_failed:
                self._writer = RingWriter(self._directory, self._slots)
            return self._writer

    def _fail(self, error: Exception) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.warning("requests are not recorded from now on: %r", error)
        self._writer = None

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        writer, self._writer = self._writer, None
        self._has_failed = False
        if writer is not None:
            writer.abandon()


def _after_fork_in_child() -> None:
    for recorder in list(_recorders):
        recorder._begin_anew()


os.register_at_fork(after_in_child=_after_fork_in_child)
