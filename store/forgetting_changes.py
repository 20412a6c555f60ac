"""Deleting old changes of status, but for those that say since when a bad state goes on."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, select

from store.status_changes import ALL_BAD
from store.tables import status_changes


def forget_changes(connection: Connection, source: str, before_ms: int) -> None:
    """Delete the changes of `source` before `before_ms`.

    Those of a node or section that was bad then stay from where that began: an incident that goes
    on for longer than changes are kept is still one.
    """
    row = status_changes.c
    old = [row.source == source, row.taken_at < before_ms]
    subjects = connection.execute(select(row.kind, row.name).where(*old).distinct()).all()
    for kind, name in subjects:
        own = [*old, row.kind == kind, row.name == name]
        since_ms = _bad_since(connection, own)
        needless = own if since_ms is None else [*own, row.taken_at < since_ms]
        connection.execute(delete(status_changes).where(*needless))


def _bad_since(connection: Connection, changes: Sequence[ColumnElement[bool]]) -> int | None:
    """Return when the bad state began that the last of `changes` leads to, None for a good one."""
    row = status_changes.c
    last = select(row.to_status).where(*changes).order_by(row.taken_at.desc()).limit(1)
    if connection.scalar(last) not in ALL_BAD:
        return None
    began = row.from_status.is_(None) | row.from_status.not_in(ALL_BAD)
    since_ms: int | None = connection.scalar(select(func.max(row.taken_at)).where(*changes, began))
    return since_ms
