"""What no section can see alone: duplicates, a missing database, timeouts beyond the deadline."""

from collections.abc import Iterator
from typing import Any

from config.panels import Pipeline, State
from config.service import Schedule

#: key, what was found, what was expected
Contradiction = tuple[str, str, str]


def contradictions(raw: dict[str, Any], sections: dict[str, Any]) -> Iterator[Contradiction]:
    """Yield what does not fit together.

    `raw` is the file's tree (possibly with mistakes), `sections` the valid sections by name;
    both are looked at, so that a mistake in one section hides none between others.
    """
    yield from _needs_database(raw, sections)
    yield from _duplicates(raw.get("nodes"), "nodes", "id")
    latency = raw.get("latency")
    if isinstance(latency, dict):
        yield from _duplicates(latency.get("classes"), "latency.classes", "key")
        yield from _duplicates(latency.get("access_logs"), "latency.access_logs", "path")
    yield from _deadlines(sections)


def _needs_database(raw: dict[str, Any], sections: dict[str, Any]) -> Iterator[Contradiction]:
    if "observed" in raw:
        return
    readers: list[str] = [name for name in ("queue", "outcomes", "experiments") if name in raw]
    state, pipeline = sections.get("state"), sections.get("pipeline")
    if isinstance(state, State) and state.counts:
        readers.append("state.counts")
    if isinstance(pipeline, Pipeline) and pipeline.counts:
        readers.append("pipeline.counts")
    if isinstance(pipeline, Pipeline) and pipeline.encode:
        readers.append("pipeline.encode")
    if readers:
        yield (
            "observed",
            "the section is missing",
            f"expected [observed] with a url, which {', '.join(readers)} read from",
        )


def _duplicates(rows: Any, where: str, key: str) -> Iterator[Contradiction]:
    first_seen: dict[str, int] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        value = row.get(key) if isinstance(row, dict) else None
        if not isinstance(value, str):
            continue
        if value in first_seen:
            expected = f"expected it once; {where}[{first_seen[value]}] has it already"
            yield f"{where}[{index}].{key}", repr(value), expected
        first_seen.setdefault(value, index)


def _deadlines(sections: dict[str, Any]) -> Iterator[Contradiction]:
    schedule = sections.get("schedule", Schedule())
    deadline_s = schedule.tick_deadline_s
    if deadline_s >= schedule.interval_s:
        yield (
            "schedule.deadline_s",
            f"{deadline_s:g}",
            f"expected less than interval_s ({schedule.interval_s})",
        )
    for index, node in enumerate(sections.get("nodes", ())):
        if node.timeout_s >= deadline_s:
            yield (
                f"nodes[{index}].timeout_s",
                f"{node.timeout_s:g}",
                f"expected less than the tick's deadline ({deadline_s:g} s)",
            )
    platform = sections.get("platform")
    if platform is not None and platform.health_url and platform.health_timeout_s >= deadline_s:
        yield (
            "platform.health_timeout_s",
            f"{platform.health_timeout_s:g}",
            f"expected less than the tick's deadline ({deadline_s:g} s)",
        )
    observed = sections.get("observed")
    if observed is not None and observed.query_timeout_s >= deadline_s:
        yield (
            "observed.query_timeout_s",
            f"{observed.query_timeout_s:g}",
            f"expected less than the tick's deadline ({deadline_s:g} s)",
        )
