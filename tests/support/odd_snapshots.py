"""Snapshots that say of themselves what a test needs, and questions to what they left."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from store.codec import encode
from store.engines import open_reader
from store.forgetting import forget
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.times import HOUR_MS
from store.writing import Snapshot, add_all

SOURCE = "one"
#: 2026-11-20T00:00:00Z: a day, an hour and five minutes begin.
START_MS = 1_795_132_800_000


def odd_snapshot(
    at_ms: int,
    interval_s: int = 30,
    requests: Mapping[str, Sequence[int]] | None = None,
    source: str = SOURCE,
    **values: Any,
) -> Snapshot:
    """Return a snapshot of `values` at the document's top, and `requests` (in µs) by class."""
    document = {"interval_s": interval_s, **values}
    intervals = {}
    for class_key, durations_us in (requests or {}).items():
        intervals[class_key] = LatencyInterval()
        intervals[class_key].histogram.record_all(durations_us, errors=0)
    return Snapshot(source, at_ms, interval_s * 1000, encode(document), intervals)


def nodes(**statuses: str) -> list[dict[str, Any]]:
    """Return nodes as a document has them, by id."""
    return [{"id": name, "status": status, "reason": None} for name, status in statuses.items()]


def store(engine: Engine, taken: Iterable[Snapshot]) -> None:
    """Write `taken`, in order of time, in one transaction."""
    with engine.begin() as connection:
        add_all(connection, taken)


def settle(
    engine: Engine, kept_ms: Mapping[str, int | None] | None = None, source: str = SOURCE
) -> None:
    """Roll up all that is complete, and delete what `kept_ms` does not keep."""
    while roll_up(engine, source, 1000):
        pass
    while kept_ms and forget(engine, source, kept_ms, 6 * HOUR_MS):
        pass


@contextmanager
def reading(url: str) -> Iterator[Connection]:
    """Open the store at `url` as the web does."""
    reader = open_reader(url)
    try:
        with reader.connect() as connection:
            yield connection
    finally:
        reader.dispose()
