"""The incidents of the week before a snapshot, as they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from store.history.asking import Period
from store.history.incidents import Incident, incidents
from store.status_changes import NODE
from store.times import iso_utc
from web.formatting import duration
from web.last_hour import WEEK_MS

#: More than that many are not listed, but counted.
_MOST_LISTED: Final = 12


@dataclass(frozen=True)
class ToldIncident:
    """An incident as it is told. `ended_at` None: it goes on.

    `unseen_from` is set when nobody looked before the end: it may have come any time since then.
    `took` is how long it lasted, or has lasted, at least; `unseen` for how long of that nobody
    looked, None when somebody always did.
    """

    name: str
    status: str
    reason: str | None
    started_at: str
    ended_at: str | None
    unseen_from: str | None
    took: str
    unseen: str | None


@dataclass(frozen=True)
class IncidentList:
    """The newest incidents, and how many more there were."""

    told: list[ToldIncident]
    more: int


def week_before(connection: Connection, source: str, taken_at_ms: int) -> list[Incident]:
    """Return the incidents of the week up to and with the snapshot taken then, newest first.

    They are as they were known then. Raises SQLAlchemy's errors.
    """
    return incidents(connection, source, Period(taken_at_ms - WEEK_MS, taken_at_ms + 1))


def incident_list(
    found: Sequence[Incident], document: Mapping[str, Any], taken_at_ms: int
) -> IncidentList:
    """Return `found` as the page of the snapshot taken then tells it."""
    told = [_told(one, document, taken_at_ms) for one in found[:_MOST_LISTED]]
    return IncidentList(told, len(found) - len(told))


def _told(incident: Incident, document: Mapping[str, Any], taken_at_ms: int) -> ToldIncident:
    end_ms = incident.ended_at_ms
    is_unseen = end_ms is not None and not incident.was_observed_to_end
    last_ms = incident.last_seen_ms if is_unseen else taken_at_ms if end_ms is None else end_ms
    return ToldIncident(
        incident.name if incident.kind == NODE else _title(document, incident.name),
        incident.status,
        incident.reason,
        iso_utc(incident.started_at_ms),
        None if end_ms is None else iso_utc(end_ms),
        iso_utc(incident.last_seen_ms) if is_unseen else None,
        duration((last_ms - incident.started_at_ms) / 1000),
        duration(incident.unobserved_ms / 1000)
        if incident.unobserved_ms and not is_unseen
        else None,
    )


def _title(document: Mapping[str, Any], section: str) -> str:
    sections = document.get("sections")
    entry = sections.get(section) if isinstance(sections, dict) else None
    title = entry.get("title") if isinstance(entry, dict) else None
    return title if isinstance(title, str) else section.replace("_", " ").capitalize()
