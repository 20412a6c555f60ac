"""The numbers in a document, each under its path: what a history can be asked for.

A path is the keys from the document's top, joined by dots: `queue.queued`, `latency.p95`. An entry
of a list is named by its `id` or its `name`: `nodes.node-1.rtt_ms`. One is derived: `nodes.ID.up`
is 1 when the node answered well enough, 0 when it did not.
"""

from typing import Any

from store.codec import Document

#: Not measured.
_LEFT_OUT = frozenset({"schema", "interval_s"})
#: States of a section whose values are of the snapshot's own tick.
_FRESH = frozenset({"ok", "partial"})
#: Of a latency class: asked for as percentiles of the requests of each step, from histograms.
_PERCENTILES = frozenset({"p50", "p95", "p99", "max"})
#: Described by other numbers: the bars of a figure, routes that come and go.
_FIGURES = frozenset({"distribution", "slowest_routes"})
_UP = {"ok": 1.0, "warn": 1.0, "err": 0.0}
#: Numbers beyond it are no measurement of anything, and their sums could not be kept.
_LARGEST = 1e290
#: In characters, which UTF-8 makes up to four times as many bytes: an index has to hold it.
_LONGEST_PATH = 500


def numeric_leaves(document: Document) -> dict[str, float]:
    """Return every number of `document` that was measured for it, by path.

    Values that a section carries from an earlier snapshot are left out: they are that one's. So are
    paths of more than 500 characters, or with a NUL in them, which no store could find again.
    """
    sections = document.get("sections")
    sections = sections if isinstance(sections, dict) else {}
    leaves: dict[str, float] = {}
    for name, value in document.items():
        section = sections.get(name)
        if name in _LEFT_OUT or (isinstance(section, dict) and section.get("status") not in _FRESH):
            continue
        if isinstance(value, dict) and value.keys() >= _PERCENTILES:
            told = _PERCENTILES | _FIGURES
            value = {key: inner for key, inner in value.items() if key not in told}  # noqa: PLW2901
        _add(leaves, name, value)
        if name == "nodes" and isinstance(value, list):
            _add_ups(leaves, value)
    return {path: value for path, value in leaves.items() if _is_storable(path)}


def _is_storable(path: str) -> bool:
    # Names come from the platform's database too: what PostgreSQL refuses would hold up everything.
    return len(path) <= _LONGEST_PATH and "\0" not in path


# Ten times in five minutes and for every number: it fills one dictionary, without generators.
def _add(leaves: dict[str, float], path: str, value: Any) -> None:
    kind = type(value)
    if kind is float or kind is int:
        if -_LARGEST < value < _LARGEST:
            leaves[path] = float(value)
    elif kind is dict:
        for key, inner in value.items():
            _add(leaves, f"{path}.{key}", inner)
    elif kind is list:
        for inner in value:
            name = (inner.get("id") or inner.get("name")) if isinstance(inner, dict) else None
            if isinstance(name, str):
                _add(leaves, f"{path}.{name}", inner)


def _add_ups(leaves: dict[str, float], nodes: list[Any]) -> None:
    for node in nodes:
        if isinstance(node, dict) and node.get("status") in _UP:
            leaves[f"nodes.{node.get('id')}.up"] = _UP[node["status"]]
