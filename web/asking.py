"""Which snapshot a request asks for: the newest, or the one at `?at=TIME`."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, current_app
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from store.history.times import is_relative, query_time_ms
from store.reading import StoredSnapshot, snapshot_after, snapshot_at, snapshot_before
from web import caching
from web.errors import RequestError
from web.newest import NewestSnapshot, ServedSnapshot

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
        told, at_ms = asked_time(request, "at", now_ms)
        snapshot = self._at(at_ms)
        # Before the newest nothing is ever added, so a fixed moment there has one answer.
        is_settled = newest is not None and at_ms < newest.taken_at_ms and not is_relative(told)
        cache_control = caching.IMMUTABLE if is_settled else caching.REVALIDATE
        is_past = newest is None or snapshot.identity != newest.identity
        return Asked(snapshot, is_past=is_past, cache_control=cache_control, now_ms=now_ms)

    def taken_before(self, at_ms: int) -> int | None:
        """Return when the last snapshot before `at_ms` was taken (Unix ms), None without one.

        Raises RequestError when the store does not answer.
        """
        stored = self._read(snapshot_before, at_ms)
        return None if stored is None else stored.taken_at_ms

    def taken_after(self, at_ms: int) -> int | None:
        """Return when the first snapshot after `at_ms` was taken, as `taken_before` does."""
        stored = self._read(snapshot_after, at_ms)
        return None if stored is None else stored.taken_at_ms

    def _at(self, at_ms: int) -> ServedSnapshot:
        stored = self._read(snapshot_at, at_ms)
        if stored is None:
            raise RequestError(404, "no_snapshot", "at: no snapshot was taken by then")
        try:
            return ServedSnapshot.of(self._source, stored)
        except ValueError as error:
            raise self._unreadable(error) from None

    def _read(
        self, read: Callable[[Connection, str, int], StoredSnapshot | None], at_ms: int
    ) -> StoredSnapshot | None:
        try:
            with self._engine.connect() as connection:
                return read(connection, self._source, at_ms)
        except (SQLAlchemyError, ValueError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> RequestError:
        log.warning("store: a past snapshot could not be read: %s", one_line(str(error)))
        return RequestError(503, "store_unavailable")


def asked_time(request: Request, parameter: str, now_ms: int) -> tuple[str, int]:
    """Return the one time that `parameter` tells: as it was told, and in Unix milliseconds.

    Raises RequestError when it is told several times, or is no time.
    """
    told = request.args.getlist(parameter)
    if len(told) != 1:
        raise RequestError(400, "bad_parameter", f"{parameter}: expected one value")
    try:
        return told[0], query_time_ms(told[0], now_ms)
    except ValueError as error:
        raise RequestError(400, "bad_parameter", f"{parameter}: {error}") from None


def the_record() -> Record:
    """Return the record that the current application serves."""
    record: Record = current_app.extensions["opsnap_record"]
    return record
