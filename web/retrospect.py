"""What a page shows beside its snapshot: the day, the week and the ninety days before it.

Of a snapshot it is read once, and it is made of what does not change any more: roll-ups of whole
periods before it, and incidents as they were known then. So the page of a moment is the same while
that is the present and when it is the past; only a record that has just begun is told up to now.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from store.history.incidents import Incident
from store.tiers import HOUR
from store.times import HOUR_MS
from web.availability import Availability, nodes_of
from web.day import Day, LastDay, day_before
from web.incident_list import week_before
from web.last_hour import LastHour
from web.newest import ServedSnapshot
from web.settled import complete_until, is_settled
from web.young_record import YoungRecord

log = logging.getLogger("opsnap.web")

#: A store that did not answer is asked again after so many seconds, or with the next snapshot.
_AGAIN_WHEN_BROKEN_S: Final = 10.0


@dataclass(frozen=True)
class Retrospect:
    """The parts; `day` and `incidents` are None when the store did not tell, the others empty.

    Uptimes, and what of the week was observed, are told up to `until_ms` (Unix ms). `is_settled`
    says that it will all be the same for as long as roll-ups are kept.
    """

    day: Day | None = None
    availabilities: Sequence[Availability] = ()
    incidents: Sequence[Incident] | None = None
    until_ms: int = 0
    observed_ms: int = 0
    is_settled: bool = False

    @property
    def is_broken(self) -> bool:
        """Whether the store did not tell."""
        return self.day is None


class Retrospects:
    """Reads retrospects, and keeps that of the newest snapshot.

    Safe to call from several threads; the past is read one after the other, and beside the present.
    """

    def __init__(
        self, engine: Engine, source: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare, without opening the store."""
        self._engine, self._source, self._clock = engine, source, clock
        self._lock, self._past_lock = threading.Lock(), threading.Lock()
        self._past_hours = LastHour(source)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._identity, self._taken_at_ms = "", 0
        self._kept, self._again_at = Retrospect(), 0.0
        self._day, self._young = LastDay(self._source), YoungRecord(self._source)
        self._hours = LastHour(self._source)

    def of_newest(self, snapshot: ServedSnapshot) -> Retrospect:
        """Return the retrospect of the newest snapshot. Never raises the store's errors."""
        with self._lock:
            if snapshot.taken_at_ms < self._taken_at_ms:
                # Another record has taken the place of the one that was read.
                self._begin_anew()
            is_due = self._kept.is_broken and self._clock() >= self._again_at
            if snapshot.identity != self._identity or is_due:
                self._kept = self._read(snapshot, self._of_newest)
                self._identity, self._taken_at_ms = snapshot.identity, snapshot.taken_at_ms
                self._again_at = self._clock() + _AGAIN_WHEN_BROKEN_S
            return self._kept

    def of_past(self, snapshot: ServedSnapshot) -> Retrospect:
        """Return the retrospect of a snapshot that has a successor. Never raises as well."""
        with self._past_lock:
            return self._read(snapshot, self._of_past)

    def _read(
        self, snapshot: ServedSnapshot, read: Callable[[Connection, ServedSnapshot], Retrospect]
    ) -> Retrospect:
        try:
            with self._engine.connect() as connection:
                return read(connection, snapshot)
        except (SQLAlchemyError, ValueError) as error:
            log.warning("store: what was before a snapshot is not read: %s", one_line(str(error)))
            return Retrospect()

    def _of_newest(self, connection: Connection, snapshot: ServedSnapshot) -> Retrospect:
        taken_at_ms = snapshot.taken_at_ms
        young = self._young.until(connection, snapshot)
        day = young or self._day.before(connection, taken_at_ms)
        until_ms = complete_until(connection, self._source, HOUR, taken_at_ms)
        if young and until_ms < young.start_ms + HOUR_MS:
            # There is no whole hour yet.
            until_ms = taken_at_ms
        nodes = nodes_of(snapshot.document)
        known, observed_ms = self._hours.before(connection, nodes, until_ms)
        told = week_before(connection, self._source, taken_at_ms)
        return Retrospect(day, known, told, until_ms, observed_ms)

    def _of_past(self, connection: Connection, snapshot: ServedSnapshot) -> Retrospect:
        taken_at_ms = snapshot.taken_at_ms
        day = day_before(connection, self._source, taken_at_ms)
        until_ms = complete_until(connection, self._source, HOUR, taken_at_ms)
        nodes = nodes_of(snapshot.document)
        known, observed_ms = self._past_hours.before(connection, nodes, until_ms)
        told = week_before(connection, self._source, taken_at_ms)
        is_all = is_settled(connection, self._source, taken_at_ms)
        return Retrospect(day, known, told, until_ms, observed_ms, is_settled=is_all)
