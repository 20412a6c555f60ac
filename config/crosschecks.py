"""What no key can see alone: duplicates, a missing database, times that contradict each other.

The file's tree is looked at, not its valid sections, so that a mistake in one place hides none in
another. A place of the wrong type is passed over: the schema has told of it.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config.explaining import shown
from config.platform import Node, Observed, Platform
from config.retention import FOREVER, TIERS, Retention, are_days
from config.section import Section
from config.service import Schedule

#: key, what was found, what was expected
Contradiction = tuple[str, str, str]
Tree = dict[str, Any]

#: Keys of the document that no counter may take.
_RESERVED_NAMES = {
    "state": ("uptime", "uptime_s", "version"),
    "pipeline": ("avg_encode_s", "canonical_format", "encode_jobs"),
}


def contradictions(raw: Tree, expanded: Tree, schedule: Schedule | None) -> Iterator[Contradiction]:
    """Yield what does not fit together.

    `raw` is the file's tree, which is shown; `expanded` is the same with its secrets, which is
    compared; `schedule` is None when that section has mistakes of its own.
    """
    yield from _missing_database(raw)
    yield from _duplicates(raw, expanded, ("nodes",), "id")
    yield from _duplicates(raw, expanded, ("latency", "classes"), "key")
    yield from _duplicates(raw, expanded, ("latency", "access_logs"), "path")
    yield from _states_counted_twice(_table(raw, "queue"))
    yield from _reserved_names(raw)
    yield from _unused_authorities(raw)
    if schedule is not None:
        yield from _deadlines(raw, schedule)
    yield from _finer_kept_longer(_table(raw, "retention"))
    yield from _shared_file(raw, expanded)


def _missing_database(raw: Tree) -> Iterator[Contradiction]:
    if "observed" in raw:
        return
    readers: list[str] = [name for name in ("queue", "outcomes", "experiments") if name in raw]
    for section, key in (("state", "counts"), ("pipeline", "counts"), ("pipeline", "encode")):
        if _table(raw, section).get(key):
            readers.append(f"{section}.{key}")
    if readers:
        expected = f"expected [observed] with the url of the database for {', '.join(readers)}"
        yield "observed", "the section is missing", expected


def _duplicates(
    raw: Tree, expanded: Tree, where: tuple[str, ...], key: str
) -> Iterator[Contradiction]:
    first_seen: dict[str, int] = {}
    written = _rows(raw, where)
    for index, row in enumerate(_rows(expanded, where)):
        value = row.get(key)
        if not isinstance(value, str):
            continue
        if value in first_seen:
            name = ".".join(where)
            expected = f"expected it once; {name}[{first_seen[value]}] has it already"
            yield f"{name}[{index}].{key}", shown(written[index][key]), expected
        first_seen.setdefault(value, index)


def _states_counted_twice(queue: Tree) -> Iterator[Contradiction]:
    first_seen: dict[str, str] = {}
    for name in ("queued", "running", "completed", "failed"):
        states = queue.get(name)
        for index, state in enumerate(states if isinstance(states, list) else []):
            key = f"queue.{name}[{index}]"
            if isinstance(state, str) and state in first_seen:
                yield key, shown(state), f"expected it once; {first_seen[state]} has it already"
            elif isinstance(state, str):
                first_seen[state] = key


def _reserved_names(raw: Tree) -> Iterator[Contradiction]:
    for section, names in _RESERVED_NAMES.items():
        counts = _table(_table(raw, section), "counts")
        for name in counts:
            if name in names:
                expected = f"expected another name: {section}.{name} has a meaning of its own"
                yield f"{section}.counts.{name}", shown(name), expected


def _unused_authorities(raw: Tree) -> Iterator[Contradiction]:
    for index, node in enumerate(_rows(raw, ("nodes",))):
        if "ca_file" in node and node.get("verify_tls") is False:
            expected = "expected true beside ca_file, which only a check of the certificate uses"
            yield f"nodes[{index}].verify_tls", "false", expected


def _deadlines(raw: Tree, schedule: Schedule) -> Iterator[Contradiction]:
    deadline_s = schedule.tick_deadline_s
    if deadline_s >= schedule.interval_s:
        expected = f"expected less than interval_s ({schedule.interval_s})"
        yield "schedule.deadline_s", f"{deadline_s:g}", expected
    timeouts: list[tuple[str, Tree, type[Section], str]] = [
        (f"nodes[{index}]", node, Node, "timeout_s")
        for index, node in enumerate(_rows(raw, ("nodes",)))
    ]
    if "health_url" in _table(raw, "platform"):
        timeouts.append(("platform", raw["platform"], Platform, "health_timeout_s"))
    if "observed" in raw:
        timeouts.append(("observed", _table(raw, "observed"), Observed, "query_timeout_s"))
    for where, table, model, key in timeouts:
        timeout_s = table.get(key, model.model_fields[key].default)
        if isinstance(timeout_s, int | float) and timeout_s >= deadline_s:
            default = "" if key in table else " (the default)"
            expected = f"expected less than the tick's deadline ({deadline_s:g} s)"
            yield f"{where}.{key}", f"{timeout_s:g}{default}", expected


def _finer_kept_longer(retention: Tree) -> Iterator[Contradiction]:
    kept = {key: retention.get(key, Retention.model_fields[key].default) for key in TIERS}
    for finer, coarser in pairwise(TIERS):
        if not are_days(kept[finer]) or not are_days(kept[coarser]) or kept[coarser] == FOREVER:
            continue
        if kept[finer] == FOREVER or kept[coarser] < kept[finer]:
            default = "" if coarser in retention else " (the default)"
            expected = f"expected at least {finer} ({shown(kept[finer])}), which is the finer tier"
            yield f"retention.{coarser}", f"{shown(kept[coarser])}{default}", expected


def _shared_file(raw: Tree, expanded: Tree) -> Iterator[Contradiction]:
    ours, theirs = _sqlite_file(expanded, "store"), _sqlite_file(expanded, "observed")
    if ours is not None and ours == theirs:
        expected = "expected a file of opsnap's own; observed.url names the same one"
        yield "store.url", shown(raw["store"]["url"]), expected


def _sqlite_file(tree: Tree, section: str) -> str | None:
    """Return the file of a section that names a SQLite database, None for all others."""
    try:
        url = make_url(_table(tree, section)["url"])
    except (KeyError, ArgumentError, ValueError, TypeError):
        return None
    return url.database if url.get_backend_name() == "sqlite" else None


def _table(tree: Tree, name: str) -> Tree:
    table = tree.get(name)
    return table if isinstance(table, dict) else {}


def _rows(tree: Tree, where: tuple[str, ...]) -> list[Tree]:
    """Return the tables of a list of tables, with an empty one for each that is none."""
    for name in where[:-1]:
        tree = _table(tree, name)
    rows = tree.get(where[-1])
    return [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []
