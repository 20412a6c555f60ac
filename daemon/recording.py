"""Taking a snapshot and committing it: what every tick does, and `opsnap sample` once."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config import Config
from config.masking import one_line
from daemon.cycle import Cycle, Tick
from daemon.depth_history import WINDOW_MS
from daemon.keeping import Keeping
from daemon.reporting import SourceLog, report_tick
from daemon.samplers import build_samplers
from daemon.sections import Section
from store.codec import decode
from store.engines import open_writer
from store.latency_state import StateMovedError
from store.reading import documents_since, newest_taken_at_ms
from store.revision import require_current_schema
from store.writing import TickAlreadyRecordedError, commit

log = logging.getLogger("opsnap.daemon")

#: A tick that starts within this time of its slot carries the slot's time, in milliseconds.
_ON_TIME_MS = 1000


class Recorder:
    """Takes snapshots of what `config` names and commits them to the store behind `engine`.

    `tick` and `drain` may be called by two threads, each by one at a time.
    """

    def __init__(self, config: Config, engine: Engine) -> None:
        """Take over what an earlier run left in the store.

        Raises SQLAlchemy's errors, and SchemaError when what it left cannot be read.
        """
        self._config, self._engine = config, engine
        self._interval_ms = config.schedule.interval_s * 1000
        self._cycle = Cycle(config, build_samplers(config))
        self._source_log = SourceLog()
        self._store_is_broken = False
        collecting = self._cycle.collecting
        self._keeping = Keeping(engine, config.store.source, collecting) if collecting else None
        self._remember_record()
        if self._keeping:
            self._keeping.resume()

    def tick(self, stop: threading.Event | None = None) -> Tick | None:
        """Take one snapshot and commit it; return it if it was committed.

        A tick that is on record already, is stopped, or cannot be stored is a gap, and said so in
        the log. Never raises: the next tick is to come whatever happens to this one.
        """
        try:
            return self._tick(stop)
        except Exception:
            log.exception("a tick failed in a way that is not foreseen")
            return None

    def drain(self, *, is_last: bool = False) -> None:
        """Collect what is new, and store it now if its source may not keep it until the next tick.

        With `is_last` it is stored in any case. Never raises.
        """
        try:
            if self._keeping:
                self._keeping.drain(is_last=is_last)
        except SQLAlchemyError as error:
            self._tell_store_broken(error)
        except Exception:
            log.exception("draining failed in a way that is not foreseen")

    def _tick(self, stop: threading.Event | None) -> Tick | None:
        if stop is not None and stop.is_set():
            return None
        began = time.perf_counter()
        taken_at_ms = _taken_at_ms(self._interval_ms)
        if self._is_recorded(taken_at_ms):
            log.info("this tick is on record already; waiting for the next")
            return None
        sections = self._cycle.sample(taken_at_ms, stop)
        if sections is None:
            return None
        self._source_log.report(sections)
        with self._keeping.storing if self._keeping else nullcontext():
            tick = self._commit(taken_at_ms, sections)
        if tick is not None:
            report_tick(taken_at_ms, sections, (time.perf_counter() - began) * 1000)
        return tick

    def _commit(self, taken_at_ms: int, sections: Mapping[str, Section]) -> Tick | None:
        """Commit what was sampled and return its tick; None when it could not be, which is told."""
        version = self._keeping.version if self._keeping else 0
        tick = self._cycle.finish(taken_at_ms, sections, version)
        try:
            commit(self._engine, tick.snapshot)
        except (TickAlreadyRecordedError, StateMovedError) as error:
            # Another daemon's: what was collected until then is in its snapshot or its state.
            log.warning("tick not stored: another daemon writes as this one: %s", error)
            if self._keeping:
                self._keeping.let_go()
            return None
        except SQLAlchemyError as error:
            self._cycle.not_stored(tick)
            self._tell_store_broken(error)
            return None
        self._tell_store_mended()
        self._cycle.stored(tick)
        if self._keeping:
            self._keeping.version += 1
        return tick

    def _is_recorded(self, taken_at_ms: int) -> bool:
        """Say whether the tick's slot has a snapshot; when the store cannot tell, it has none."""
        try:
            with self._engine.connect() as connection:
                newest_ms = newest_taken_at_ms(connection, self._config.store.source)
            if self._keeping:
                self._keeping.follow()
        except SQLAlchemyError:
            return False
        return newest_ms is not None and newest_ms >= taken_at_ms - taken_at_ms % self._interval_ms

    def _tell_store_mended(self) -> None:
        if self._store_is_broken:
            self._store_is_broken = False
            log.info("store: mended")

    def _tell_store_broken(self, error: SQLAlchemyError) -> None:
        if not self._store_is_broken:
            log.error("store: broken, ticks are lost until it mends: %s", one_line(str(error)))
        self._store_is_broken = True

    def _remember_record(self) -> None:
        since_ms = time.time_ns() // 1_000_000 - WINDOW_MS
        document = None
        with self._engine.connect() as connection:
            for stored in documents_since(connection, self._config.store.source, since_ms):
                document = decode(stored.document)
                self._cycle.remember_depth(stored.taken_at_ms, document)
        if document is not None:
            self._cycle.remember_last_good(document)


def sample_once(config: Config, *, is_stored: bool) -> str | None:
    """Take one snapshot now and return its document; None when it could not be stored.

    Without `is_stored` the store is not touched. Raises SchemaError, SQLAlchemy's errors and
    SampleError when there is nothing to begin with.
    """
    if not is_stored:
        tick = Cycle(config, build_samplers(config)).run(time.time_ns() // 1_000_000)
    else:
        engine = open_writer(config.store.url)
        require_current_schema(engine)
        tick = Recorder(config, engine).tick()
    return None if tick is None else tick.snapshot.document


def _taken_at_ms(interval_ms: int) -> int:
    """Return the present, or the slot that it is just past, in Unix milliseconds."""
    now_ms = time.time_ns() // 1_000_000
    lag_ms = now_ms % interval_ms
    return now_ms - lag_ms if lag_ms <= min(_ON_TIME_MS, interval_ms // 2) else now_ms
