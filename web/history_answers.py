"""Answers of the history: JSON or a file, with a tag of the content and how long it may be kept."""

import hashlib
import time
from typing import Any, Final

from flask import Response

from store.codec import encode
from web import caching
from web.asking import the_record

JSON: Final = "application/json"
#: Nothing is added to the past, but retention makes what is told of it coarser: caches may keep it
#: for an hour, and not for ever.
SETTLED: Final = "public, max-age=3600"


def present_ms() -> int:
    """Return the present in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def cache_control(now_ms: int, ends_at_ms: int, *, is_absolute: bool) -> str:
    """Return how long an answer about times before `ends_at_ms` may be kept.

    `is_absolute` says that the same request asks for the same times whenever it is made.
    """
    newest = the_record().newest()
    if newest is None:
        return caching.REVALIDATE
    if is_absolute and ends_at_ms <= newest.taken_at_ms:
        return SETTLED
    return caching.until(newest.successor_due_at_ms, now_ms)


def json_answer(body: dict[str, Any], keeping: str) -> Response:
    """Return `body` with `"ok": true` before it, to be kept as `keeping` (a Cache-Control) says."""
    return _answer(encode({"ok": True, **body}).encode(), JSON, keeping)


def file_answer(text: str, content_type: str, name: str, keeping: str) -> Response:
    """Return `text` as a file that is saved under `name`, of letters that need no quoting."""
    response = _answer(text.encode(), content_type, keeping)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _answer(body: bytes, content_type: str, keeping: str) -> Response:
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    return caching.conditional(body, content_type, digest, keeping)
