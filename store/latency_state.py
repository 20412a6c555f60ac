"""How far the sources of requests have been read: one row a daemon name, moved with its snapshots.

Between two snapshots the row can be brought forward by a checkpoint, which then also holds what has
been counted since the snapshot; so requests need not stay where they were read from.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from store.tables import latency_state


@dataclass(frozen=True)
class StoredState:
    """The state's bytes, and when the snapshot was taken that it goes on from (Unix ms, or 0)."""

    taken_at_ms: int
    state: bytes


def read_state(connection: Connection, source: str) -> StoredState | None:
    """Return the stored state of `source`, None before the first."""
    row = connection.execute(
        select(latency_state.c.taken_at, latency_state.c.state).where(
            latency_state.c.source == source
        )
    ).first()
    return None if row is None else StoredState(row.taken_at, bytes(row.state))


def write_state(connection: Connection, source: str, taken_at_ms: int, state: bytes) -> None:
    """Store the state that goes with the snapshot taken at `taken_at_ms`, in its transaction."""
    moved = connection.execute(
        update(latency_state)
        .where(latency_state.c.source == source)
        .values(taken_at=taken_at_ms, state=state)
    )
    if not moved.rowcount:
        connection.execute(
            insert(latency_state).values(source=source, taken_at=taken_at_ms, state=state)
        )


def checkpoint(engine: Engine, source: str, after_ms: int, state: bytes) -> bool:
    """Bring the state of `source` forward between two snapshots; say whether it is stored.

    `after_ms` is the snapshot (or 0) that the state goes on from. When the stored one goes on from
    another, somebody else writes under this name, and nothing is changed. Raises SQLAlchemy's
    errors.
    """
    with engine.begin() as connection:
        moved = connection.execute(
            update(latency_state)
            .where(latency_state.c.source == source, latency_state.c.taken_at == after_ms)
            .values(state=state)
        )
        if moved.rowcount:
            return True
        if read_state(connection, source) is not None:
            return False
    try:
        with engine.begin() as connection:
            values = {"source": source, "taken_at": after_ms, "state": state}
            connection.execute(insert(latency_state).values(**values))
    except IntegrityError:
        return False
    return True
