"""Committing a snapshot: document, interval histograms and cursors in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.intervals import LatencyInterval
from store.latency_state import StateChange, write_state
from store.tables import interval_histograms, snapshots, sources


class TickAlreadyRecordedError(Exception):
    """The store holds a snapshot of this tick, or of a later one."""


@dataclass(frozen=True)
class Snapshot:
    """What one tick commits. Times in Unix milliseconds, intervals by latency class.

    `latency_state` is where reading goes on after this snapshot; None leaves what is stored of it.
    """

    source: str
    taken_at_ms: int
    interval_ms: int
    document: str
    intervals: Mapping[str, LatencyInterval]
    latency_state: StateChange | None = None

    @property
    def tick_at_ms(self) -> int:
        """The wall-clock slot that the snapshot belongs to."""
        return self.taken_at_ms - self.taken_at_ms % self.interval_ms


def commit(engine: Engine, snapshot: Snapshot) -> None:
    """Write `snapshot` whole or not at all.

    Raises TickAlreadyRecordedError when its source has a snapshot at or after this tick's slot,
    StateMovedError when its latency state does not go on from the stored one, and SQLAlchemy's
    errors when the store cannot be written.
    """
    with engine.begin() as connection:
        _advance(connection, snapshot)
        key = {"source": snapshot.source, "taken_at": snapshot.taken_at_ms}
        connection.execute(insert(snapshots).values(**key, document=snapshot.document))
        for class_key, interval in snapshot.intervals.items():
            values = {**key, "class_key": class_key, **interval.columns()}
            connection.execute(insert(interval_histograms).values(**values))
        if snapshot.latency_state is not None:
            write_state(connection, snapshot.source, snapshot.latency_state)


def _advance(connection: Connection, snapshot: Snapshot) -> None:
    """Move the source's newest time forward, which locks its row until the commit."""
    moved = connection.execute(
        update(sources)
        .where(sources.c.source == snapshot.source)
        .where(sources.c.newest_taken_at < snapshot.tick_at_ms)
        .values(newest_taken_at=snapshot.taken_at_ms)
    )
    if moved.rowcount:
        return
    newest_ms = connection.scalar(
        select(sources.c.newest_taken_at).where(sources.c.source == snapshot.source)
    )
    if newest_ms is not None:
        msg = f"{snapshot.source} has a snapshot at {newest_ms} ms, tick {snapshot.tick_at_ms} ms"
        raise TickAlreadyRecordedError(msg)
    first = insert(sources).values(source=snapshot.source, newest_taken_at=snapshot.taken_at_ms)
    try:
        connection.execute(first)
    except IntegrityError as error:
        msg = f"{snapshot.source} has just got its first snapshot from somebody else"
        raise TickAlreadyRecordedError(msg) from error
