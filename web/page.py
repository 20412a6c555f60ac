"""The page as bytes, rendered once for a snapshot and its state, however many visitors ask."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from flask import current_app, render_template, url_for

from store.times import iso_utc
from web.asking import Asked
from web.incident_list import incident_list
from web.last_hour import WEEK_MS
from web.line_texts import line_texts
from web.moments import moments_around
from web.overall import overall
from web.retrospect import Retrospect, Retrospects

#: Pages of the past that are kept, of about 100 KB each.
_MOST_PAST_PAGES: Final = 16


@dataclass(frozen=True)
class Page:
    """The page, and what an ETag of it is made of: snapshot, what is said about it, and build."""

    body: bytes
    identity: str


class RenderedPages:
    """Keeps the newest snapshot's page of the present second, and a few pages of the past."""

    def __init__(self, retrospects: Retrospects) -> None:
        self._retrospects = retrospects
        self._kept: tuple[tuple[Any, ...], Page] | None = None
        self._past: OrderedDict[tuple[str, str], Page] = OrderedDict()
        self._lock, self._past_lock = threading.Lock(), threading.Lock()

    def render(self, asked: Asked, prefix: str) -> Page:
        """Return the page of `asked`, with links under `prefix`, in the caller's app context."""
        if asked.is_past:
            return self._of_past(asked, prefix)
        key = (asked.snapshot.identity, asked.now_ms // 1000, _is_expired(asked), prefix)
        # One visitor waits for the store and for the rendering; the others get the page before.
        kept = self._kept
        is_free = self._lock.acquire(blocking=kept is None or kept[0][2:] != key[2:])
        if not is_free and kept is not None:
            return kept[1]
        try:
            if self._kept is None or self._kept[0] != key:
                retrospect = self._retrospects.of_newest(asked.snapshot)
                self._kept = (key, _render(asked, retrospect))
            return self._kept[1]
        finally:
            self._lock.release()

    def _of_past(self, asked: Asked, prefix: str) -> Page:
        key = (asked.snapshot.identity, prefix)
        with self._past_lock:
            known = self._past.get(key)
            if known is not None:
                self._past.move_to_end(key)
                return known
        retrospect = self._retrospects.of_past(asked.snapshot)
        page = _render(asked, retrospect)
        if retrospect.is_settled:
            with self._past_lock:
                self._past[key] = page
                if len(self._past) > _MOST_PAST_PAGES:
                    self._past.popitem(last=False)
        return page


def _is_expired(asked: Asked) -> bool:
    return not asked.is_past and asked.snapshot.is_expired(asked.now_ms)


def _render(asked: Asked, retrospect: Retrospect) -> Page:
    document, taken_at_ms = asked.snapshot.document, asked.snapshot.taken_at_ms
    is_expired = _is_expired(asked)
    html = render_template(
        "engineering.html",
        document=document,
        sections=document.get("sections", {}),
        overall=overall(document, is_expired=is_expired, is_past=asked.is_past),
        is_past=asked.is_past,
        is_expired=is_expired,
        now_ms=asked.now_ms,
        sent_at=iso_utc(asked.now_ms),
        taken_at_ms=taken_at_ms,
        latency_keys=[key for key in document if key.startswith("latency")],
        moments=moments_around(taken_at_ms),
        retrospect=retrospect,
        lines=line_texts(retrospect, is_past=asked.is_past),
        incidents=incident_list(retrospect.incidents or (), document, taken_at_ms),
        week_ms=WEEK_MS,
        history_url=url_for("views.api_engineering"),
    ).encode()
    state = "past" if asked.is_past else "old" if is_expired else "new"
    if retrospect.is_broken or (asked.is_past and not retrospect.is_settled):
        # It will be another page once roll-ups are made, or the store answers.
        state = f"{state}-{hashlib.blake2b(html, digest_size=6).hexdigest()}"
    build = current_app.extensions["opsnap_build"]
    return Page(html, f"{asked.snapshot.identity}-{state}-{build}")
