"""How far the sources of requests have been read: one row a daemon name, moved with its snapshots.

Between two snapshots the row can be brought forward by a checkpoint, which then also holds what has
been counted since the snapshot; so requests need not stay where they were read from.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.tables import latency_state


class StateMovedError(Exception):
    """Somebody else has moved the state since it was read: what was counted is counted there."""


@dataclass(frozen=True)
class StateChange:
    """A new state as bytes, and the version of the one that it goes on from; 0: there is none."""

    after_version: int
    state: bytes


@dataclass(frozen=True)
class StoredState:
    """The state's bytes, and its version."""

    version: int
    state: bytes


def read_state(connection: Connection, source: str) -> StoredState | None:
    """Return the stored state of `source`, None before the first."""
    row = connection.execute(
        select(latency_state.c.version, latency_state.c.state).where(
            latency_state.c.source == source
        )
    ).first()
    return None if row is None else StoredState(row.version, bytes(row.state))


def state_version(connection: Connection, source: str) -> int:
    """Return the version of the stored state of `source`, 0 when there is none."""
    version: int | None = connection.scalar(
        select(latency_state.c.version).where(latency_state.c.source == source)
    )
    return version or 0


def write_state(connection: Connection, source: str, change: StateChange) -> None:
    """Store a state in the caller's transaction.

    Raises StateMovedError when the stored one is not the version that it goes on from.
    """
    after, values = change.after_version, {"version": change.after_version + 1}
    if after == 0:
        row = {"source": source, "state": change.state, **values}
        try:
            connection.execute(insert(latency_state).values(**row))
        except IntegrityError as error:
            raise StateMovedError(source) from error
        return
    moved = connection.execute(
        update(latency_state)
        .where(latency_state.c.source == source, latency_state.c.version == after)
        .values(state=change.state, **values)
    )
    if not moved.rowcount:
        raise StateMovedError(source)


def checkpoint(engine: Engine, source: str, change: StateChange) -> None:
    """Bring the state of `source` forward between two snapshots.

    Raises StateMovedError, and SQLAlchemy's errors.
    """
    with engine.begin() as connection:
        write_state(connection, source, change)
