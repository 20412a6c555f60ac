"""Keeping the record small and quick to ask: roll-ups and retention, beside the ticks."""

import logging
import threading
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from config.retention import Retention, kept_ms
from store.forgetting import SNAPSHOTS, forget, give_space_back
from store.rolling_up import roll_up
from store.tiers import DAY, FIVE_MINUTES, HOUR
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

    def __init__(self, engine: Engine, source: str, retention: Retention) -> None:
        """Prepare; `start` begins."""
        self._engine, self._source = engine, source
        self._kept_ms = {
            SNAPSHOTS: kept_ms(retention.snapshots_days),
            FIVE_MINUTES.name: kept_ms(retention.five_minutes_days),
            HOUR.name: kept_ms(retention.hours_days),
            DAY.name: kept_ms(retention.hours_days),
        }
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
        """Do one piece of work, one transaction; say whether there was any. Never raises."""
        try:
            did = roll_up(self._engine, self._source, 1) > 0 or self._forget()
        except SQLAlchemyError as error:
            if not self._is_broken:
                log.warning("upkeep of the store: broken: %s", one_line(str(error)))
            self._is_broken = True
            return False
        except Exception:
            log.exception("upkeep of the store failed in a way that is not foreseen")
            return False
        self._is_broken = False
        return did

    def _forget(self) -> bool:
        if not forget(self._engine, self._source, self._kept_ms, HOUR_MS):
            return False
        give_space_back(self._engine, _PAGES)
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.perf_counter()
            did = self.work()
            took_s = time.perf_counter() - began
            self._stop.wait(took_s * _REST if did else _EVERY_S)
