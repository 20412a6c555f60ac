"""The routes of snapshots: page by page, and what changed between two of them."""

import base64
import binascii
import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request, url_for
from sqlalchemy import Connection

from store.codec import Document, decode
from store.history.asking import Period
from store.history.differences import differences
from store.history.snapshot_pages import documents_of, times_of_page
from store.reading import StoredSnapshot, snapshot_at
from store.times import iso_utc
from web.errors import RequestError
from web.history_answers import cache_control, json_answer, present_ms
from web.history_parameters import Parameters, bad_parameter
from web.history_reading import the_history

blueprint = Blueprint("history_snapshots", __name__)

_LIMIT, _HIGHEST_LIMIT = 100, 1000
_NEWEST, _OLDEST = "newest", "oldest"
_CURSOR = re.compile(r"(newest|oldest) (-?[0-9]{1,15})")


@blueprint.get("/api/engineering/snapshots")
def snapshots() -> Response:
    """Return when the snapshots of a period were taken, a page at a time."""
    told = Parameters(request, ("from", "to", "order", "limit", "documents", "cursor"))
    order = told.choice("order", (_NEWEST, _OLDEST))
    limit = told.whole("limit", _LIMIT, _HIGHEST_LIMIT)
    with_documents = told.choice("documents", ("no", "yes")) == "yes"
    now_ms, past = present_ms(), the_history()
    period = told.period("1970-01-01", now_ms)
    left = _after(period, order, told.text("cursor", ""))
    with past.reading() as connection:
        found = times_of_page(
            connection, past.source, left, limit + 1, newest_first=order == _NEWEST
        )
        times = found[:limit]
        texts = documents_of(connection, past.source, times) if with_documents else {}
        documents = {at_ms: decode(text) for at_ms, text in texts.items()}
    body: dict[str, Any] = {
        "source": past.source,
        "from": iso_utc(period.start_ms),
        "to": iso_utc(period.end_ms),
        "order": order,
        "snapshots": [_entry(at_ms, documents) for at_ms in times],
        "cursor": None,
        "next": None,
    }
    if len(found) > limit:
        cursor = _cursor_of(order, times[-1])
        asked = {"from": body["from"], "to": body["to"], "order": order, "limit": limit}
        if with_documents:
            asked["documents"] = "yes"
        body |= {"cursor": cursor, "next": url_for(".snapshots", **asked, cursor=cursor)}
    is_absolute = told.are_absolute("from", "to")
    return json_answer(body, cache_control(now_ms, period.end_ms, is_absolute=is_absolute))


@blueprint.get("/api/engineering/diff")
def diff() -> Response:
    """Return what changed between the snapshots at two times."""
    told = Parameters(request, ("from", "to"))
    now_ms, past = present_ms(), the_history()
    from_ms, to_ms = told.moment_ms("from", "-24h", now_ms), told.moment_ms("to", "now", now_ms)
    if from_ms > to_ms:
        raise bad_parameter("from", "expected a time not after that of to")
    with past.reading() as connection:
        before = _snapshot_at(connection, past.source, "from", from_ms)
        after = _snapshot_at(connection, past.source, "to", to_ms)
        changed = differences(decode(before.document), decode(after.document))
    body = {
        "source": past.source,
        "asked_from": iso_utc(from_ms),
        "asked_to": iso_utc(to_ms),
        "from": iso_utc(before.taken_at_ms),
        "to": iso_utc(after.taken_at_ms),
        **changed,
    }
    is_absolute = told.are_absolute("from", "to")
    # At the newest snapshot's own time there will never be another.
    return json_answer(body, cache_control(now_ms, to_ms, is_absolute=is_absolute))


def _snapshot_at(connection: Connection, source: str, name: str, at_ms: int) -> StoredSnapshot:
    found = snapshot_at(connection, source, at_ms)
    if found is None:
        raise RequestError(404, "no_snapshot", f"{name}: no snapshot was taken by then")
    return found


def _entry(at_ms: int, documents: dict[int, Document]) -> dict[str, Any]:
    taken_at = iso_utc(at_ms)
    entry = {"taken_at": taken_at, "url": url_for("views.api_engineering", at=taken_at)}
    return {**entry, "document": documents[at_ms]} if at_ms in documents else entry


def _cursor_of(order: str, at_ms: int) -> str:
    return base64.urlsafe_b64encode(f"{order} {at_ms}".encode()).decode().rstrip("=")


def _after(period: Period, order: str, cursor: str) -> Period:
    """Return what is left of `period` behind the snapshot that `cursor` names; all without one."""
    if not cursor:
        return period
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    match = _CURSOR.fullmatch(text)
    if match is None or match[1] != order:
        raise bad_parameter("cursor", "expected one of an earlier answer, in the same order")
    at_ms = int(match[2])
    if order == _NEWEST:
        return replace(period, end_ms=min(period.end_ms, at_ms))
    return replace(period, start_ms=max(period.start_ms, at_ms + 1))
