"""The newest snapshot, held in memory; the store is asked only whether there is a newer one."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from store.codec import Document, decode
from store.reading import StoredSnapshot, newest_taken_at_ms, snapshot_at
from store.times import parse_iso_ms

log = logging.getLogger("opsnap.web")

#: The store is asked at most this often, in seconds, however many visitors there are.
_LOOK_EVERY_S = 0.2
#: And this often while it does not answer.
_LOOK_EVERY_WHEN_BROKEN_S = 2.0


@dataclass(frozen=True)
class ServedSnapshot:
    """A snapshot ready to be served: its document and its bytes. Times in Unix milliseconds.

    It is out of date at `expires_at_ms`; its successor is taken at `successor_due_at_ms`, the
    first multiple of the interval after it. `identity` is what an ETag is made of.
    """

    identity: str
    taken_at_ms: int
    expires_at_ms: int
    successor_due_at_ms: int
    body: bytes
    document: Document

    @classmethod
    def of(cls, source: str, stored: StoredSnapshot) -> "ServedSnapshot":
        """Make a stored snapshot ready. Raises ValueError when its text is no such document."""
        document = decode(stored.document)
        try:
            interval_ms = int(document["interval_s"]) * 1000
            due_at_ms = (stored.taken_at_ms // interval_ms + 1) * interval_ms
            expires_at_ms = parse_iso_ms(document["expires_at"])
        except (KeyError, TypeError, ZeroDivisionError) as error:
            msg = f"a document without a usable interval or end: {error!r}"
            raise ValueError(msg) from error
        return cls(
            f"{source}-{stored.taken_at_ms}",
            stored.taken_at_ms,
            expires_at_ms,
            due_at_ms,
            stored.document.encode(),
            document,
        )

    def is_expired(self, now_ms: int) -> bool:
        """Say whether a successor should have come long ago."""
        return now_ms > self.expires_at_ms


class NewestSnapshot:
    """The newest snapshot of `source`. Safe to call from several threads."""

    def __init__(
        self, engine: Engine, source: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare, without opening the store."""
        self._engine, self._source, self._clock = engine, source, clock
        self._current: ServedSnapshot | None = None
        self._look_at = clock()
        self._is_broken = False
        self._lock = threading.Lock()

    def get(self) -> ServedSnapshot | None:
        """Return the newest snapshot, at most 0.2 s behind the store; None before the first.

        While the store does not answer it is the last one that it gave.
        """
        # One request looks, the others need not wait for it: they have an answer.
        if self._clock() >= self._look_at and self._lock.acquire(blocking=self._current is None):
            try:
                if self._clock() >= self._look_at:
                    self._look()
            finally:
                self._lock.release()
        return self._current

    def _look(self) -> None:
        try:
            with self._engine.connect() as connection:
                newest_ms = newest_taken_at_ms(connection, self._source)
                current_ms = self._current.taken_at_ms if self._current else None
                if newest_ms is not None and newest_ms != current_ms:
                    stored = snapshot_at(connection, self._source, newest_ms)
                    if stored is not None:
                        self._current = ServedSnapshot.of(self._source, stored)
        except (SQLAlchemyError, ValueError) as error:
            if not self._is_broken:
                log.warning("store: broken: %s", one_line(str(error)))
            self._is_broken = True
            self._look_at = self._clock() + _LOOK_EVERY_WHEN_BROKEN_S
            return
        if self._is_broken:
            log.info("store: mended")
        self._is_broken = False
        self._look_at = self._clock() + _LOOK_EVERY_S
