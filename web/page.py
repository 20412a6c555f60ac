"""The page as bytes, rendered once for a snapshot and its state, however many visitors ask."""

import threading
from typing import Any

from flask import render_template

from store.times import iso_utc
from web.asking import Asked
from web.overall import overall


class RenderedPages:
    """Keeps the newest snapshot's page of the present second; pages of the past are not kept."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._page = b""
        self._lock = threading.Lock()

    def render(self, asked: Asked, prefix: str) -> bytes:
        """Return the page of `asked`, with links under `prefix`, in the caller's app context."""
        if asked.is_past:
            return _render(asked)
        key = (asked.snapshot.identity, asked.now_ms // 1000, _is_expired(asked), prefix)
        with self._lock:
            if key != self._key:
                self._page, self._key = _render(asked), key
            return self._page


def page_identity(asked: Asked, build: str) -> str:
    """Return what an ETag of the page is made of: snapshot, what is said about it, `build`."""
    state = "past" if asked.is_past else "old" if _is_expired(asked) else "new"
    return f"{asked.snapshot.identity}-{state}-{build}"


def _is_expired(asked: Asked) -> bool:
    return not asked.is_past and asked.snapshot.is_expired(asked.now_ms)


def _render(asked: Asked) -> bytes:
    document = asked.snapshot.document
    return render_template(
        "engineering.html",
        document=document,
        sections=document.get("sections", {}),
        overall=overall(document, is_expired=_is_expired(asked), is_past=asked.is_past),
        is_past=asked.is_past,
        is_expired=_is_expired(asked),
        now_ms=asked.now_ms,
        sent_at=iso_utc(asked.now_ms),
        taken_at_ms=asked.snapshot.taken_at_ms,
        latency_keys=[key for key in document if key.startswith("latency")],
    ).encode()
