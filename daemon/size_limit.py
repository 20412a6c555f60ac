"""`[retention] max_mb`: above it the oldest of the finest tier goes first, bit by bit."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from store.forgetting import SNAPSHOTS, forget
from store.reach import oldest_ms, shortened
from store.reading import newest_taken_at_ms
from store.size import SETTLES_S, StoreSize, count_anew, size_of
from store.tiers import DAY, FIVE_MINUTES, HOUR
from store.times import DAY_MS, HOUR_MS

log = logging.getLogger("opsnap.daemon")

MB = 1_000_000
_COUNTED_ANEW_EVERY_S = 3600.0


@dataclass(frozen=True)
class _Shortening:
    """How a tier is shortened: what at least stays of it, and how much goes at a time, in ms."""

    words: str
    least_ms: int
    step_ms: int


#: The finest first: a coarser one is touched only when there is nothing more to take of the finer.
_SHORTENINGS = {
    SNAPSHOTS: _Shortening("snapshots", 2 * HOUR_MS, HOUR_MS),
    FIVE_MINUTES.name: _Shortening("roll-ups of 5 minutes", 2 * DAY_MS, HOUR_MS),
    HOUR.name: _Shortening("roll-ups of hours", 31 * DAY_MS, DAY_MS),
    DAY.name: _Shortening("roll-ups of days", 31 * DAY_MS, DAY_MS),
}


class SizeLimit:
    """Keeps the store at `max_mb` millions of bytes by shortening what `source` has in it.

    `kept_ms` is how long each tier is to be kept, as `store.forgetting.forget` takes it.
    """

    def __init__(
        self, engine: Engine, source: str, kept_ms: Mapping[str, int | None], max_mb: int
    ) -> None:
        """Prepare; the store is not touched yet."""
        self._engine, self._source, self._kept_ms, self._max_mb = engine, source, kept_ms, max_mb
        self._is_known_at_s = 0.0
        self._may_count_at_s = 0.0
        #: Tiers of which it was said that they are shortened, and what stands in the way of it.
        self._told: set[str] = set()
        self._told_obstacle = ""

    def shorten(self) -> bool:
        """Delete one step of what goes first if the store is too large; say whether it did.

        It is one short transaction. Raises SQLAlchemy's errors.
        """
        if time.monotonic() < self._is_known_at_s:
            return False
        in_use = self._size().in_use
        if in_use is None:
            self._tell_obstacle("nobody knows how large it is")
            return False
        if in_use <= self._max_mb * MB:
            self._told_obstacle = ""
            self._tell_when_over()
            return False
        for tier, how in _SHORTENINGS.items():
            if self._take_from(tier, how):
                self._tell_begun(tier, how, in_use)
                self._is_known_at_s = time.monotonic() + SETTLES_S[self._engine.dialect.name]
                return True
        self._tell_obstacle(f"{in_use / MB:.1f} MB, and nothing is left that could be shortened")
        return False

    def _size(self) -> StoreSize:
        size = size_of(self._engine)
        now_s = time.monotonic()
        if size.in_use is None and now_s >= self._may_count_at_s:
            self._may_count_at_s = now_s + _COUNTED_ANEW_EVERY_S
            count_anew(self._engine)
            size = size_of(self._engine)
        return size

    def _take_from(self, tier: str, how: _Shortening) -> bool:
        with self._engine.connect() as connection:
            newest_ms = newest_taken_at_ms(connection, self._source)
            begin_ms = oldest_ms(connection, self._source)[tier]
        if newest_ms is None or begin_ms is None:
            return False
        kept_ms = max(newest_ms - begin_ms - how.step_ms, how.least_ms)
        return forget(self._engine, self._source, {tier: kept_ms}, how.step_ms)

    def _tell_begun(self, tier: str, how: _Shortening, in_use: int) -> None:
        if tier in self._told:
            return
        self._told.add(tier)
        log.warning(
            "store: %.1f MB, more than max_mb = %d: shortening, the oldest %s go",
            in_use / MB,
            self._max_mb,
            how.words,
        )

    def _tell_obstacle(self, why: str) -> None:
        # Its numbers change all the time; what they mean does not.
        kind = why.partition(",")[2] or why
        if kind != self._told_obstacle:
            log.warning("store: max_mb = %d cannot be kept: %s", self._max_mb, why)
        self._told_obstacle = kind

    def _tell_when_over(self) -> None:
        """Say that nothing is missing any more, if something was; until then it goes on."""
        if not self._told:
            return
        with self._engine.connect() as connection:
            if shortened(connection, self._source, self._kept_ms):
                return
        self._told.clear()
        log.info("store: every tier is as long again as it is to be kept, within max_mb")
