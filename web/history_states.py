"""The routes of states: how long each node was up, and what incidents there were."""

from typing import Any

from flask import Blueprint, Response, request

from store.history.asking import Period
from store.history.incidents import Incident, incidents
from store.history.observed import share
from store.history.uptime import Uptime, uptimes
from store.times import DAY_MS, SECOND_MS, iso_utc
from web.asking import the_record
from web.history_answers import cache_control, json_answer, present_ms
from web.history_parameters import Parameters
from web.history_reading import the_history

blueprint = Blueprint("history_states", __name__)

_PERIODS = {"24h": DAY_MS, "7d": 7 * DAY_MS, "30d": 30 * DAY_MS, "90d": 90 * DAY_MS}


@blueprint.get("/api/engineering/uptime")
def uptime() -> Response:
    """Return how long each node was up, down and unknown, up to now or to `at`."""
    told = Parameters(request, ("at",))
    now_ms, past = present_ms(), the_history()
    # What is to come is unknown to everybody.
    end_ms = min(told.moment_ms("at", "now", now_ms), now_ms)
    snapshot = the_record().asked_for(request).snapshot
    nodes = {node["id"]: node["location"] for node in snapshot.document["nodes"]}
    found: dict[str, dict[str, Any]] = {name: {} for name in nodes}
    with past.reading() as connection:
        for label, length_ms in _PERIODS.items():
            period = Period(end_ms - length_ms, end_ms)
            for one in uptimes(connection, past.source, list(nodes), period):
                found[one.name][label] = _uptime(one)
    body = {
        "source": past.source,
        "at": iso_utc(end_ms),
        "nodes": [
            {"id": name, "location": nodes[name], "periods": periods}
            for name, periods in found.items()
        ],
    }
    is_absolute = told.are_absolute("at")
    return json_answer(body, cache_control(now_ms, end_ms, is_absolute=is_absolute))


@blueprint.get("/api/engineering/incidents")
def incident_list() -> Response:
    """Return the incidents of a period, as they were known at its end."""
    told = Parameters(request, ("from", "to"))
    now_ms, past = present_ms(), the_history()
    period = told.period("-7d", now_ms)
    with past.reading() as connection:
        found = incidents(connection, past.source, period)
    body = {
        "source": past.source,
        "from": iso_utc(period.start_ms),
        "to": iso_utc(period.end_ms),
        "incidents": [_incident(one) for one in found],
    }
    is_absolute = told.are_absolute("from", "to")
    return json_answer(body, cache_control(now_ms, period.end_ms, is_absolute=is_absolute))


def _uptime(one: Uptime) -> dict[str, Any]:
    observed_ms = one.up_ms + one.down_ms
    return {
        "from": iso_utc(one.period.start_ms),
        "to": iso_utc(one.period.end_ms),
        "up_s": one.up_ms / SECOND_MS,
        "down_s": one.down_ms / SECOND_MS,
        "unknown_s": one.unknown_ms / SECOND_MS,
        "observed_s": observed_ms / SECOND_MS,
        "observed_share": _share(observed_ms, observed_ms + one.unknown_ms),
        "up_share": _share(one.up_ms, observed_ms),
    }


def _share(part_ms: int, whole_ms: int) -> float | None:
    return share(part_ms, whole_ms) if whole_ms else None


def _incident(one: Incident) -> dict[str, Any]:
    was_seen_ending = one.ended_at_ms is not None and one.was_observed_to_end
    return {
        "kind": one.kind,
        "name": one.name,
        "status": one.status,
        "reason": one.reason,
        "started_at": iso_utc(one.started_at_ms),
        "last_seen_at": _iso(one.last_seen_ms),
        "ended_at": _iso(one.ended_at_ms),
        "was_observed_to_end": one.was_observed_to_end,
        "duration_s": _seconds(one.started_at_ms, one.ended_at_ms if was_seen_ending else None),
        "unobserved_s": one.unobserved_ms / SECOND_MS,
        "seen_for_s": _seconds(one.started_at_ms, one.last_seen_ms),
    }


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)


def _seconds(start_ms: int, end_ms: int | None) -> float | None:
    return None if end_ms is None else (end_ms - start_ms) / SECOND_MS
