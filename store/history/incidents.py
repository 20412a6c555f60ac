"""Incidents: from when a node was down, or a section without fresh values, until it was not."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select

from store.codec import decode_if_sound
from store.history.asking import Period
from store.history.cover import Extent, extent_of, pieces
from store.history.observed import observed_in
from store.history.snapshot_pages import times_of_page
from store.reading import snapshot_before
from store.status_changes import ALL_BAD, BAD, statuses_of
from store.tables import status_changes

#: After more than so many intervals without a snapshot nobody knows when a state changed.
_GAP_INTERVALS = 2


@dataclass(frozen=True)
class Incident:
    """A node or a section in a bad state. Times in Unix ms.

    `status` and `reason` are the newest known within it. It was seen from `started_at_ms` to
    `last_seen_ms`, and seen to be over at `ended_at_ms`, None while it goes on. When the daemon
    was stopped in between, `was_observed_to_end` is false: it can have ended any time between.
    For `unobserved_ms` of its time nobody looked: it can have been over meanwhile.
    """

    kind: str
    name: str
    status: str
    reason: str | None
    started_at_ms: int
    last_seen_ms: int
    ended_at_ms: int | None
    was_observed_to_end: bool
    unobserved_ms: int = 0


def incidents(connection: Connection, source: str, period: Period) -> list[Incident]:
    """Return the incidents that `period` has a part of, newest first, as known at its end."""
    until = Period(0, period.end_ms)
    kept_ms = times_of_page(connection, source, until, 1, newest_first=True)
    if not kept_ms:
        return []
    extent = extent_of(connection, source)
    gap_ms = _GAP_INTERVALS * extent.interval_ms
    changes = _changes(connection, source, period)
    # A change is of a snapshot too, though that may have been thinned out since.
    newest_ms = max([*kept_ms, *(row.taken_at for row in changes)])
    by_subject: dict[tuple[str, str], list[Row[Any]]] = {}
    for row in changes:
        by_subject.setdefault((row.kind, row.name), []).append(row)
    found = [
        replace(incident, unobserved_ms=_unobserved_ms(connection, source, extent, incident))
        for rows in by_subject.values()
        for incident in _of_subject(rows, newest_ms, gap_ms)
        if incident.ended_at_ms is None or incident.ended_at_ms > period.start_ms
    ]
    return sorted(found, key=lambda one: (-one.started_at_ms, one.kind, one.name))


def _changes(connection: Connection, source: str, period: Period) -> list[Row[Any]]:
    """Return the changes from or to a bad state in `period`, and before it the runs that lead in.

    What was bad when it began is told by the snapshot before it: looking for that through all
    changes that ever were would take longer with each year.
    """
    row = status_changes.c
    query = (
        select(status_changes)
        .where(row.source == source, row.to_status.in_(ALL_BAD) | row.from_status.in_(ALL_BAD))
        .order_by(row.taken_at)
    )
    first = snapshot_before(connection, source, period.start_ms)
    if first is None:
        return list(connection.execute(query.where(row.taken_at < period.end_ms)))
    leading: list[Row[Any]] = []
    for (kind, name), (status, _) in statuses_of(decode_if_sound(first.document)).items():
        own = [row.kind == kind, row.name == name, row.taken_at <= first.taken_at_ms]
        if status not in BAD[kind]:
            continue
        begun_ms = connection.scalar(
            select(row.taken_at)
            .where(row.source == source, *own, row.to_status.in_(BAD[kind]))
            .where(row.from_status.is_(None) | row.from_status.not_in(BAD[kind]))
            .order_by(row.taken_at.desc())
            .limit(1)
        )
        if begun_ms is not None:
            leading += connection.execute(query.where(*own, row.taken_at >= begun_ms))
    after = row.taken_at > first.taken_at_ms
    return [*leading, *connection.execute(query.where(after, row.taken_at < period.end_ms))]


def _unobserved_ms(connection: Connection, source: str, extent: Extent, incident: Incident) -> int:
    ended_at_ms = incident.ended_at_ms
    end_ms = incident.last_seen_ms if ended_at_ms is None else ended_at_ms
    period = extent.widened(Period(incident.started_at_ms, end_ms))
    parts = pieces(extent, period)
    observed_ms = sum(
        one.snapshots * one.ms_each for one in observed_in(connection, source, extent, parts)
    )
    unobserved_ms = round(period.length_ms - observed_ms)
    return unobserved_ms if unobserved_ms >= extent.interval_ms else 0


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
