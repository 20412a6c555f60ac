"""What changed between two snapshots: values, states, and by how much latency shifted.

Pure functions over documents. What belongs to the moment of a snapshot alone is no change: when it
was taken, how long its samplers took, the bars of its figures.
"""

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from store.codec import Document
from store.status_changes import Status, statuses_of

_PERCENTILES = ("p50", "p95", "p99", "max")
_OF_THE_MOMENT = frozenset({"ok", "schema", "taken_at", "expires_at", "generated_at"})
_FIGURES = frozenset({"distribution", "slowest_routes"})
#: Told as states.
_STATES = frozenset({"status", "reason"})
_OF_A_SECTION = _STATES | {"sampled_at", "took_ms"}
_RATIO_DIGITS = 4


def differences(before: Document, after: Document) -> dict[str, Any]:
    """Return what is another in `after` than in `before`, ready for JSON.

    `values`: every value that differs, by path, with its `change` if both are numbers. `statuses`:
    every node and section whose state or reason differs. `latency`: of each class that both know,
    its percentiles with their `shift_ms` and `ratio`, changed or not. `stale`: sections whose
    values are carried from an earlier snapshot, and when those were sampled, in either document.
    """
    return {
        "values": list(_values(dict(_leaves(before)), dict(_leaves(after)))),
        "statuses": list(_statuses(before, after)),
        "latency": dict(_shifts(before, after)),
        "stale": {"from": _stale(before), "to": _stale(after)},
    }


def _values(before: dict[str, Any], after: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in before | after:
        old, new = before.get(path), after.get(path)
        if path in before and path in after and _is_same(old, new):
            continue
        kind = "gone" if path not in after else "changed" if path in before else "appeared"
        yield {"path": path, "kind": kind, "from": old, "to": new, "change": _change(old, new)}


def _statuses(before: Document, after: Document) -> Iterator[dict[str, Any]]:
    olds, news = statuses_of(before), statuses_of(after)
    none = Status(None, None)  # type: ignore[arg-type] # not there: no state at all
    for kind, name in olds | news:
        old, new = olds.get((kind, name), none), news.get((kind, name), none)
        if old != new:
            yield {
                "kind": kind,
                "name": name,
                "from": old.status,
                "to": new.status,
                "from_reason": old.reason,
                "reason": new.reason,
            }


def _shifts(before: Document, after: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, new in after.items():
        old = before.get(key)
        if key.startswith("latency") and isinstance(new, dict) and isinstance(old, dict):
            shifts = {name: _shift(old.get(name), new.get(name)) for name in _PERCENTILES}
            yield key, {**shifts, "samples": {"from": old.get("samples"), "to": new.get("samples")}}


def _shift(old: Any, new: Any) -> dict[str, Any]:
    ratio = new / old if _is_number(old) and _is_number(new) and old else None
    is_known = ratio is not None and math.isfinite(ratio)
    return {
        "from": old,
        "to": new,
        "shift_ms": _change(old, new),
        "ratio": round(ratio, _RATIO_DIGITS) if ratio is not None and is_known else None,
    }


def _stale(document: Document) -> dict[str, Any]:
    sections = document.get("sections")
    return {
        name: section.get("sampled_at")
        for name, section in (sections.items() if isinstance(sections, dict) else ())
        if isinstance(section, dict) and section.get("status") == "stale"
    }


def _leaves(document: Document) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in _OF_THE_MOMENT:
            continue
        told = {"sections": _OF_A_SECTION, "nodes": _STATES}.get(name, frozenset())
        yield from _leaves_of(name, value, _FIGURES, told)


def _leaves_of(
    path: str, value: Any, left_out: frozenset[str], of_entries: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """Yield the values under `path`; without keys in `left_out`, in entries those in `of_entries`.

    An entry of a list is named by its `id` or `name`; lists of anything else have no paths.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in left_out:
                yield from _leaves_of(f"{path}.{key}", inner, left_out | of_entries)
    elif isinstance(value, list):
        for inner in value:
            name = (inner.get("id") or inner.get("name")) if isinstance(inner, dict) else None
            if isinstance(name, str):
                yield from _leaves_of(f"{path}.{name}", inner, left_out | of_entries)
    else:
        yield path, value


def _is_same(old: Any, new: Any) -> bool:
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)


def _change(old: Any, new: Any) -> float | int | None:
    """Return by how much a number changed, without the slips of binary fractions."""
    if not (_is_number(old) and _is_number(new)):
        return None
    if isinstance(old, int) and isinstance(new, int):
        return new - old
    change = float(Decimal(repr(new)) - Decimal(repr(old)))
    return change if math.isfinite(change) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
