"""The snapshot document as text: JSON, compact, UTF-8, stored and served as it is."""

import json
from typing import Any

Document = dict[str, Any]


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
