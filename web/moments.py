"""Going to another moment: the snapshot before or after one, by addresses that never change.

A page links to `?before=` and `?after=` the time of its own snapshot, not to a neighbour's: which
one that is depends on what the store keeps.
"""

import time
from dataclasses import dataclass
from typing import Final

from flask import Request, url_for

from store.times import DAY_MS, HOUR_MS, iso_utc, moment
from web.asking import Record, asked_time
from web.errors import RequestError

_PARAMETERS: Final = ("at", "before", "after")


@dataclass(frozen=True)
class Moments:
    """The addresses that a page has to other moments, and its own as a date-time field has it."""

    previous: str
    next: str
    oldest: str
    day_earlier: str
    hour_earlier: str
    hour_later: str
    day_later: str
    field: str


def moments_around(taken_at_ms: int) -> Moments:
    """Return the addresses from the page of the snapshot taken then (Unix ms)."""

    def at(other_ms: int) -> str:
        return url_for("views.engineering", at=iso_utc(max(0, other_ms)))

    own = iso_utc(taken_at_ms)
    return Moments(
        url_for("views.engineering", before=own),
        url_for("views.engineering", after=own),
        url_for("views.engineering", after=0),
        at(taken_at_ms - DAY_MS),
        at(taken_at_ms - HOUR_MS),
        at(taken_at_ms + HOUR_MS),
        at(taken_at_ms + DAY_MS),
        moment(taken_at_ms).strftime("%Y-%m-%dT%H:%M:%S"),
    )


def destination(record: Record, request: Request) -> str | None:
    """Return where `request` is to be led, None when it asks for no neighbour.

    Raises RequestError when there is none, or the question is not understood.
    """
    told = [name for name in _PARAMETERS if name in request.args]
    if told in ([], ["at"]):
        return None
    if len(told) > 1:
        raise RequestError(400, "bad_parameter", f"{told[1]}: expected one of {told[0]}, {told[1]}")
    now_ms = time.time_ns() // 1_000_000
    _, at_ms = asked_time(request, told[0], now_ms)
    if told == ["before"]:
        found_ms = record.taken_before(at_ms)
        nothing = "before: the record begins here, no earlier snapshot was taken"
    else:
        found_ms = record.taken_after(at_ms)
        nothing = "after: this is the newest, no later snapshot has been taken yet"
    if found_ms is None:
        raise RequestError(404, "no_snapshot", nothing)
    newest = record.newest()
    if newest is not None and found_ms == newest.taken_at_ms:
        return url_for("views.engineering")
    return url_for("views.engineering", at=iso_utc(found_ms))
