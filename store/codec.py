"""The snapshot document as text: JSON, compact, UTF-8, stored and served as it is."""

import json
from typing import Any

Document = dict[str, Any]

#: What is taken for the interval where no document tells it.
DEFAULT_INTERVAL_MS = 30_000
_LONGEST_INTERVAL_S = 86_400


def encode(document: Document) -> str:
    """Return `document` as JSON text. Raises ValueError for NaN and infinities: not numbers.

    Half a surrogate pair, which a source can smuggle in by an escape and which UTF-8 cannot hold,
    becomes a question mark.
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def decode(text: str) -> Document:
    """Return the document in `text`. Raises ValueError when it is not a JSON object."""
    document = json.loads(text)
    if not isinstance(document, dict):
        msg = "a snapshot document is a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - the caller handles one kind of bad text
    return document


def decode_if_sound(text: str) -> Document:
    """Return the document in `text`, an empty one when it is damaged.

    For whoever has to go on without it: one damaged row must not hold up the record.
    """
    try:
        return decode(text)
    except ValueError:
        return {}


def interval_ms_of(*documents: Document) -> int:
    """Return the interval that the first of `documents` with a usable one tells, in ms."""
    for document in documents:
        interval_s = document.get("interval_s")
        if isinstance(interval_s, int | float) and 0 < interval_s <= _LONGEST_INTERVAL_S:
            return max(1, round(interval_s * 1000))
    return DEFAULT_INTERVAL_MS
