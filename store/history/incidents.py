"""Incidents: from when a node was down, or a section without fresh values, until it was not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from store.history.asking import Period
from store.history.cover import extent_of
from store.history.snapshot_pages import times_of_page
from store.status_changes import ALL_BAD, BAD
from store.tables import status_changes

#: After more than so many intervals without a snapshot nobody knows when a state changed.
_GAP_INTERVALS = 2


@dataclass(frozen=True)
class Incident:
    """A node or a section in a bad state. Times in Unix ms.

    `status` and `reason` are the newest known within it. It was seen from `started_at_ms` to
    `last_seen_ms`, and seen to be over at `ended_at_ms`, None while it goes on. When the daemon
    was stopped in between, `was_observed_to_end` is false: it can have ended any time between.
    """

    kind: str
    name: str
    status: str
    reason: str | None
    started_at_ms: int
    last_seen_ms: int
    ended_at_ms: int | None
    was_observed_to_end: bool


def incidents(connection: Connection, source: str, period: Period) -> list[Incident]:
    """Return the incidents that `period` has a part of, newest first, as known at its end."""
    until = Period(0, period.end_ms)
    kept_ms = times_of_page(connection, source, until, 1, newest_first=True)
    if not kept_ms:
        return []
    gap_ms = _GAP_INTERVALS * extent_of(connection, source).interval_ms
    changes = _changes(connection, source, period)
    # A change is of a snapshot too, though that may have been thinned out since.
    newest_ms = max([*kept_ms, *(row.taken_at for row in changes)])
    by_subject: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in changes:
        by_subject.setdefault((row.kind, row.name), []).append(row)
    found = [
        incident
        for rows in by_subject.values()
        for incident in _of_subject(rows, newest_ms, gap_ms)
        if incident.ended_at_ms is None or incident.ended_at_ms > period.start_ms
    ]
    return sorted(found, key=lambda one: (-one.started_at_ms, one.kind, one.name))


def _changes(connection: Connection, source: str, period: Period) -> Sequence[Row[Any]]:
    """Return the changes in `period`, and before it of each subject the run that leads into it."""
    row = status_changes.c
    before = (
        select(row.kind, row.name, func.max(row.taken_at).label("at"))
        .where(row.source == source, row.taken_at < period.start_ms)
        .where(row.from_status.is_(None) | row.from_status.not_in(ALL_BAD))
        .group_by(row.kind, row.name)
        .subquery()
    )
    since = func.coalesce(before.c.at, period.start_ms)
    query = (
        select(status_changes)
        .join_from(
            status_changes,
            before,
            (row.kind == before.c.kind) & (row.name == before.c.name),
            isouter=True,
        )
        .where(row.source == source, row.taken_at >= since, row.taken_at < period.end_ms)
        .order_by(row.taken_at)
    )
    return connection.execute(query).all()


def _of_subject(rows: Iterable[Row[Any]], newest_ms: int, gap_ms: int) -> list[Incident]:
    found: list[Incident] = []
    begun: Row[Any] | None = None
    status, reason = "", None
    for row in rows:
        if row.to_status in BAD[row.kind]:
            begun = begun or row
            status, reason = row.to_status, row.reason
        elif begun is not None:
            last_seen_ms = row.previous_at
            is_sure = row.taken_at - last_seen_ms <= gap_ms
            found.append(_incident(begun, status, reason, last_seen_ms, row.taken_at, is_sure))
            begun = None
    if begun is not None:
        found.append(_incident(begun, status, reason, newest_ms, None, is_sure=True))
    return found


def _incident(
    begun: Row[Any],
    status: str,
    reason: str | None,
    last_seen_ms: int,
    ended_at_ms: int | None,
    is_sure: bool,
) -> Incident:
    return Incident(
        begun.kind,
        begun.name,
        status,
        reason,
        begun.taken_at,
        last_seen_ms,
        ended_at_ms,
        is_sure,
    )
