"""Committing a snapshot: document, interval histograms, changes and cursors in one transaction."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.codec import decode_if_sound
from store.intervals import LatencyInterval
from store.latency_state import StateChange, write_state
from store.status_changes import Statuses, changes, statuses_of
from store.tables import interval_histograms, snapshots, sources, status_changes


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
        add_all(connection, [snapshot])


def add_all(connection: Connection, taken: Iterable[Snapshot]) -> None:
    """Write the snapshots of one source, in order of time, within the caller's transaction.

    Raises as `commit` does; the caller's transaction is then of no use any more.
    """
    rows: dict[Table, list[dict[str, Any]]] = {}
    newest: Snapshot | None = None
    for snapshot in taken:
        if newest is None:
            previous_at_ms = _advance(connection, snapshot)
            before = _statuses_at(connection, snapshot.source, previous_at_ms)
        elif newest.taken_at_ms >= snapshot.tick_at_ms:
            raise _already_recorded(newest.taken_at_ms, snapshot)
        after = statuses_of(decode_if_sound(snapshot.document))
        for table, row in _rows(snapshot):
            rows.setdefault(table, []).append(row)
        key = {"source": snapshot.source, "taken_at": snapshot.taken_at_ms}
        rows.setdefault(status_changes, []).extend(
            {**key, "previous_at": previous_at_ms, **change} for change in changes(before, after)
        )
        if snapshot.latency_state is not None:
            write_state(connection, snapshot.source, snapshot.latency_state)
        newest, before, previous_at_ms = snapshot, after, snapshot.taken_at_ms
    if newest is not None and len(rows[snapshots]) > 1:
        _advance(connection, newest)
    for table, some in rows.items():
        if some:
            connection.execute(insert(table), some)


def _rows(snapshot: Snapshot) -> Iterator[tuple[Table, dict[str, Any]]]:
    key = {"source": snapshot.source, "taken_at": snapshot.taken_at_ms}
    yield snapshots, {**key, "document": snapshot.document}
    for class_key, interval in snapshot.intervals.items():
        yield interval_histograms, {**key, "class_key": class_key, **interval.columns()}


def _statuses_at(connection: Connection, source: str, taken_at_ms: int | None) -> Statuses:
    """Return the states in the snapshot taken then; none when there is no such snapshot."""
    text = connection.scalar(
        select(snapshots.c.document).where(
            snapshots.c.source == source, snapshots.c.taken_at == taken_at_ms
        )
    )
    return {} if text is None else statuses_of(decode_if_sound(text))


def _advance(connection: Connection, snapshot: Snapshot) -> int | None:
    """Move the source's newest time forward, which locks its row until the commit.

    Returns what it was before, None when this is the source's first snapshot.
    """
    newest_ms: int | None = connection.scalar(
        select(sources.c.newest_taken_at).where(sources.c.source == snapshot.source)
    )
    if newest_ms is None:
        first = insert(sources).values(source=snapshot.source, newest_taken_at=snapshot.taken_at_ms)
        try:
            connection.execute(first)
        except IntegrityError as error:
            msg = f"{snapshot.source} has just got its first snapshot from somebody else"
            raise TickAlreadyRecordedError(msg) from error
        return None
    moved = connection.execute(
        update(sources)
        .where(sources.c.source == snapshot.source, sources.c.newest_taken_at == newest_ms)
        .where(sources.c.newest_taken_at < snapshot.tick_at_ms)
        .values(newest_taken_at=snapshot.taken_at_ms)
    )
    if not moved.rowcount:
        raise _already_recorded(newest_ms, snapshot)
    return newest_ms


def _already_recorded(newest_ms: int, snapshot: Snapshot) -> TickAlreadyRecordedError:
    msg = f"{snapshot.source} has a snapshot at {newest_ms} ms, tick {snapshot.tick_at_ms} ms"
    return TickAlreadyRecordedError(msg)
