"""Telling of upkeep that takes long: now and then while it goes on, and when it is done."""

import logging
import time
from collections.abc import Callable

from sqlalchemy import Engine

from store.reading import newest_taken_at_ms
from store.rolling_up import progress_of
from store.tiers import FIVE_MINUTES
from store.times import plain_utc

log = logging.getLogger("opsnap.daemon")

#: What takes less is not worth a line.
_FIRST_S = 30.0
_EVERY_S = 600.0


class CatchingUp:
    """Counts pieces of work that follow one another without a pause."""

    def __init__(
        self, engine: Engine, source: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare for the upkeep of `source`; `monotonic` tells the time in seconds."""
        self._engine, self._source, self._monotonic = engine, source, monotonic
        self._pieces = 0
        self._began_s = 0.0
        self._tell_at_s = 0.0
        self._has_told = False

    def note(self, *, did: bool) -> None:
        """Note whether there was a piece of work to do. Raises SQLAlchemy's errors."""
        now_s = self._monotonic()
        if not did:
            if self._has_told:
                minutes = (now_s - self._began_s) / 60
                log.info("upkeep: caught up: %d piece(s) in %.1f min", self._pieces, minutes)
            self._pieces, self._has_told = 0, False
            return
        if not self._pieces:
            self._began_s, self._tell_at_s = now_s, now_s + _FIRST_S
        self._pieces += 1
        if now_s >= self._tell_at_s:
            self._has_told, self._tell_at_s = True, now_s + _EVERY_S
            self._tell()

    def _tell(self) -> None:
        with self._engine.connect() as connection:
            made_until_ms = progress_of(connection, self._source).get(FIVE_MINUTES.name)
            newest_ms = newest_taken_at_ms(connection, self._source)
        log.info(
            "upkeep: catching up, %d piece(s) so far: rolled up until %s, newest snapshot %s",
            self._pieces,
            "its begin" if made_until_ms is None else plain_utc(made_until_ms),
            "none" if newest_ms is None else plain_utc(newest_ms),
        )
