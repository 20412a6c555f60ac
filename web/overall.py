"""The state of everything in one word, for the heading, the title and the icon."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from store.codec import Document


@dataclass(frozen=True)
class Overall:
    """`level` is ok, warn, err or stale; `word` is for the heading, `detail` says what is wrong."""

    level: str
    word: str
    detail: str


def overall(document: Document, *, is_expired: bool, is_past: bool = False) -> Overall:
    """Return the worst that the document tells; an expired one tells nothing of the present.

    Of a past one the word says that it was so then, and the level is that of no present.
    """
    if is_past:
        then = overall(document, is_expired=False)
        return Overall("stale", f"{then.word} then", then.detail)
    nodes = Counter(_status(node) for node in document.get("nodes") or [])
    sections = Counter(_status(section) for section in document.get("sections", {}).values())
    found = [
        *_phrase(nodes["err"], "node down", "nodes down"),
        *_phrase(sections["error"], "panel without values", "panels without values"),
        *_phrase(nodes["warn"], "node slow", "nodes slow"),
        *_phrase(sections["stale"], "panel stale", "panels stale"),
        *_phrase(sections["partial"], "panel incomplete", "panels incomplete"),
    ]
    detail = ", ".join(found) or "every source answers"
    if is_expired:
        return Overall("stale", "Out of date", "no newer snapshot has come")
    if nodes["err"] or sections["error"]:
        return Overall("err", "Trouble", detail)
    if found:
        return Overall("warn", "Attention", detail)
    return Overall("ok", "All well", detail)


def _status(entry: Any) -> str:
    return str(entry.get("status")) if isinstance(entry, dict) else ""


def _phrase(count: int, one: str, many: str) -> list[str]:
    return [f"{count} {one if count == 1 else many}"] if count else []
