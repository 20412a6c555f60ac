"""The numbers in a document, each under its path: what a history can be asked for.

A path is the keys from the document's top, joined by dots: `queue.queued`, `latency.p95`. An entry
of a list is named by its `id` or its `name`: `nodes.node-1.rtt_ms`. One is derived: `nodes.ID.up`
is 1 when the node answered well enough, 0 when it did not.
"""

from collections.abc import Iterator
from typing import Any

from store.codec import Document

#: Not measured, or described by other numbers: the bars of a figure, routes that come and go.
_LEFT_OUT = frozenset({"schema", "interval_s", "distribution", "slowest_routes"})
#: States of a section whose values are of the snapshot's own tick.
_FRESH = frozenset({"ok", "partial"})
_UP = {"ok": 1.0, "warn": 1.0, "err": 0.0}
#: Numbers beyond it are no measurement of anything, and their sums could not be kept.
_LARGEST = 1e290


def numeric_leaves(document: Document) -> dict[str, float]:
    """Return every number of `document` that was measured for it, by path.

    Values that a section carries from an earlier snapshot are left out: they are that one's.
    """
    sections = document.get("sections")
    sections = sections if isinstance(sections, dict) else {}
    leaves: dict[str, float] = {}
    for name, value in document.items():
        section = sections.get(name)
        if name in _LEFT_OUT or (isinstance(section, dict) and section.get("status") not in _FRESH):
            continue
        leaves.update(_leaves(name, value))
        if name == "nodes" and isinstance(value, list):
            leaves.update(_ups(value))
    return leaves


def _leaves(path: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        if -_LARGEST < value < _LARGEST:
            yield path, float(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key not in _LEFT_OUT:
                yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            name = (inner.get("id") or inner.get("name")) if isinstance(inner, dict) else None
            if isinstance(name, str):
                yield from _leaves(f"{path}.{name}", inner)


def _ups(nodes: list[Any]) -> Iterator[tuple[str, float]]:
    for node in nodes:
        if isinstance(node, dict) and node.get("status") in _UP:
            yield f"nodes.{node.get('id')}.up", _UP[node["status"]]
