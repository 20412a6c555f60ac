"""Stores with snapshots that upkeep has not seen yet, and everything that a store holds."""

import random
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine
from sqlalchemy.pool import NullPool

from store.codec import encode
from store.intervals import LatencyInterval
from store.writing import Snapshot, add_all

SOURCE = "one"
#: 2026-01-05T00:00:00Z: long past; a day, an hour and five minutes begin.
START_MS = 1_767_571_200_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


def every(interval_s: int, start_ms: int, end_ms: int) -> range:
    """Return the times of a daemon that misses nothing, `end_ms` left out."""
    return range(start_ms, end_ms, interval_s * 1000)


def fill(
    engine: Engine,
    times_ms: Sequence[int],
    interval_s: int = 30,
    source: str = SOURCE,
    padding: int = 0,
) -> None:
    """Store a snapshot for each of `times_ms`; what is in it depends on its time alone.

    `padding` is how many characters its document is larger, which no compression makes smaller.
    """
    for first in range(0, len(times_ms), 500):
        some = times_ms[first : first + 500]
        snapshots = [_snapshot(at_ms, interval_s, source, padding) for at_ms in some]
        with engine.begin() as connection:
            add_all(connection, snapshots)


def _snapshot(at_ms: int, interval_s: int, source: str, padding: int) -> Snapshot:
    dice = random.Random(at_ms)
    is_up = dice.random() > 0.15
    document = {
        "schema": 1,
        "interval_s": interval_s,
        "platform": {"description": dice.randbytes(padding // 2).hex()},
        "nodes": [{"id": "n-1", "status": "ok" if is_up else "err", "reason": None}],
        "queue": {"queued": dice.randrange(50), "oldest_queued_s": dice.random() * 900},
        "sections": {"nodes": {"status": "ok"}, "queue": {"status": "ok" if is_up else "stale"}},
    }
    interval = LatencyInterval()
    durations_us = [dice.randrange(1000, 400_000) for _ in range(dice.randrange(4))]
    if durations_us:
        interval.histogram.record_all(durations_us, errors=dice.randrange(2))
        interval.note_time(at_ms - 1000, at_ms)
    return Snapshot(source, at_ms, interval_s * 1000, encode(document), {"latency": interval})


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table of the store at `url`, in an order of their own."""
    engine = create_engine(url, poolclass=NullPool)
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for name, table in found.tables.items()
        }
