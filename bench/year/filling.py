"""Filling a store with the past: written, rolled up and forgotten by the store's own code."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

from bench.year.snapshots import Year
from config import Config
from store.engines import open_writer
from store.forgetting import forget, give_space_back
from store.kept import kept_of
from store.reading import newest_taken_at_ms
from store.rolling_up import roll_up
from store.times import HOUR_MS
from store.writing import Snapshot, add_all

#: Written at once: few transactions, and nothing that is large in memory.
_STEP_MS = HOUR_MS
_MOST_PERIODS = 10_000
_PAGES = 1_000_000
#: Every period adds to as many places of the store as there are metrics.
_CACHE_KB = 200_000

#: Is told how much of the work is done, from 0 to 1.
Progress = Callable[[float], None]
Kept = Mapping[str, int | None]


@dataclass(frozen=True)
class Past:
    """What is told: the platform that `config` watches by `seed`, in [start, end), Unix ms."""

    config: Config
    seed: int
    start_ms: int
    end_ms: int

    @property
    def source(self) -> str:
        """The daemon's name."""
        return self.config.store.source


def fill(
    url: str, past: Past, progress: Progress, *, after_ms: int | None = None, kept: Kept | None
) -> None:
    """Write `past` to the store at `url`, which has the schema, and do what upkeep would do.

    It goes on from the newest snapshot where there is one; `after_ms` (Unix ms) is when the one
    before the past was taken, if there was one elsewhere. `kept` is how long each tier is kept, as
    `store.forgetting` takes it; None: nothing is rolled up and nothing forgotten. Raises
    SQLAlchemy's errors.
    """
    year, engine = Year(past.config, past.seed), open_quick_writer(url)
    try:
        with engine.connect() as connection:
            newest_ms = newest_taken_at_ms(connection, past.source)
        start_ms = past.start_ms if newest_ms is None else newest_ms + 1
        newest_ms = after_ms if newest_ms is None else newest_ms
        for at_ms in range(start_ms - start_ms % _STEP_MS, past.end_ms, _STEP_MS):
            taken = year.documents(max(at_ms, start_ms), min(at_ms + _STEP_MS, past.end_ms))
            newest_ms = _write(engine, year, taken, newest_ms)
            if kept is not None:
                keep_up(engine, past.source, kept)
            progress(min(1.0, (at_ms + _STEP_MS - start_ms) / (past.end_ms - start_ms)))
        give_space_back(engine, _PAGES)
    finally:
        engine.dispose()


def keep_up(engine: Engine, source: str, kept: Kept) -> None:
    """Do all that the daemon's upkeep would have done by now."""
    while roll_up(engine, source, _MOST_PERIODS):
        pass
    while forget(engine, source, kept, HOUR_MS):
        pass


def kept_by(config: Config) -> Kept:
    """Return how long each tier is kept by `config`."""
    return kept_of(config.retention)


def open_quick_writer(url: str) -> Engine:
    """Return an engine for a store that is made anew if the machine should fail meanwhile."""
    engine = open_writer(url)
    event.listen(engine, "connect", _without_waiting_for_the_disk)
    return engine


def _write(
    engine: Engine, year: Year, taken: Iterable[Snapshot], newest_ms: int | None
) -> int | None:
    """Write the snapshots in one transaction; return when the newest was taken."""
    whole = []
    for snapshot in taken:
        whole.append(year.with_intervals(snapshot, newest_ms))
        newest_ms = snapshot.taken_at_ms
    with engine.begin() as connection:
        add_all(connection, whole)
    return newest_ms


def _without_waiting_for_the_disk(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
    else:
        connection.execute("SET synchronous_commit = off")
        connection.commit()
