"""Which snapshot a request asks for: the newest, or the one at `?at=TIME`."""

import logging
import time
from dataclasses import dataclass

from flask import Request, current_app
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from store.reading import snapshot_at
from web import caching
from web.errors import RequestError
from web.newest import NewestSnapshot, ServedSnapshot
from store.history.times import is_relative, query_time_ms

log = logging.getLogger("opsnap.web")


@dataclass(frozen=True)
class Asked:
    """The snapshot, whether it was asked for as the past, and how long caches may keep it."""

    snapshot: ServedSnapshot
    is_past: bool
    cache_control: str
    now_ms: int


class Record:
    """The record of one source, as the pages see it."""

    def __init__(self, engine: Engine, source: str) -> None:
        """Prepare, without opening the store."""
        self._engine, self._source = engine, source
        self._newest = NewestSnapshot(engine, source)

    def newest(self) -> ServedSnapshot | None:
        """Return the newest snapshot, None before the first."""
        return self._newest.get()

    def asked_for(self, request: Request) -> Asked:
        """Return what `request` asks for. Raises RequestError when there is no such snapshot."""
        now_ms = time.time_ns() // 1_000_000
        newest = self._newest.get()
        if not request.query_string or "at" not in request.args:
            if newest is None:
                raise RequestError(503, "no_snapshot")
            cache_control = caching.until(newest.successor_due_at_ms, now_ms)
            return Asked(newest, is_past=False, cache_control=cache_control, now_ms=now_ms)
        told = request.args.getlist("at")
        if len(told) != 1:
            raise RequestError(400, "bad_parameter", "at: expected one value")
        try:
            at_ms = query_time_ms(told[0], now_ms)
        except ValueError as error:
            raise RequestError(400, "bad_parameter", f"at: {error}") from None
        snapshot = self._at(at_ms)
        # Before the newest nothing is ever added, so a fixed moment there has one answer.
        is_settled = newest is not None and at_ms < newest.taken_at_ms and not is_relative(told[0])
        cache_control = caching.IMMUTABLE if is_settled else caching.REVALIDATE
        is_past = newest is None or snapshot.identity != newest.identity
        return Asked(snapshot, is_past=is_past, cache_control=cache_control, now_ms=now_ms)

    def _at(self, at_ms: int) -> ServedSnapshot:
        try:
            with self._engine.connect() as connection:
                stored = snapshot_at(connection, self._source, at_ms)
            snapshot = None if stored is None else ServedSnapshot.of(self._source, stored)
        except (SQLAlchemyError, ValueError) as error:
            log.warning("store: a past snapshot could not be read: %s", one_line(str(error)))
            raise RequestError(503, "store_unavailable") from None
        if snapshot is None:
            raise RequestError(404, "no_snapshot", "at: no snapshot was taken by then")
        return snapshot


def the_record() -> Record:
    """Return the record that the current application serves."""
    record: Record = current_app.extensions["opsnap_record"]
    return record
