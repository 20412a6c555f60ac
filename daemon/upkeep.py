"""Keeping the record small and quick to ask: roll-ups and retention, beside the ticks."""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from config.retention import Retention
from daemon.catching_up import CatchingUp
from daemon.size_limit import SizeLimit
from store.forgetting import forget, give_space_back
from store.kept import kept_of
from store.rolling_up import roll_up
from store.times import HOUR_MS

log = logging.getLogger("opsnap.daemon")

#: Between two looks whether there is anything to do, in seconds.
_EVERY_S = 5.0
#: After a piece of work the ticks have the store for so much longer than the piece took.
_REST = 4.0
#: Pages of 4 KB that are given back after each deletion.
_PAGES = 512


class Upkeep:
    """Rolls up and deletes, a piece at a time, in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        source: str,
        retention: Retention,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Prepare; `start` begins. `now_ms` tells the time in Unix milliseconds."""
        self._now_ms = now_ms
        self._engine, self._source = engine, source
        self._kept_ms = kept_of(retention)
        self._limit = (
            SizeLimit(engine, source, self._kept_ms, retention.max_mb) if retention.max_mb else None
        )
        self._catching_up = CatchingUp(engine, source)
        self._stop = threading.Event()
        self._is_broken = False
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience_s: float) -> bool:
        """End after the piece in hand; say whether that was within `patience_s`."""
        self._stop.set()
        self._thread.join(max(patience_s, 0.0))
        return not self._thread.is_alive()

    def work(self) -> bool:
        """Do one piece of work, one transaction; say whether there was any. Never raises.

        What is broken is told once, and once when it is mended: the next call tries again.
        """
        try:
            did = roll_up(self._engine, self._source, 1) > 0 or self._make_room()
            self._catching_up.note(did=did)
        except SQLAlchemyError as error:
            if not self._is_broken:
                log.warning("upkeep of the store: broken: %s", one_line(str(error)))
            self._is_broken = True
            return False
        except Exception:
            if not self._is_broken:
                log.exception("upkeep of the store: broken in a way that is not foreseen")
            self._is_broken = True
            return False
        if self._is_broken:
            log.info("upkeep of the store: mended")
        self._is_broken = False
        return did

    def _make_room(self) -> bool:
        did = forget(self._engine, self._source, self._kept_ms, HOUR_MS, self._now_ms())
        did = did or (self._limit is not None and self._limit.shorten())
        if did:
            give_space_back(self._engine, _PAGES)
        return did

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.perf_counter()
            did = self.work()
            took_s = time.perf_counter() - began
            self._stop.wait(min(took_s * _REST, _EVERY_S) if did else _EVERY_S)
