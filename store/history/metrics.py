"""The names of what can be asked for: numbers of documents, and percentiles of latency classes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, union

from store.codec import decode_if_sound
from store.history.asking import QueryError
from store.leaves import numeric_leaves
from store.reading import newest_snapshot
from store.rolled import metric_numbers
from store.tables import interval_histograms, rollup_latency, snapshots
from store.tiers import DAY, FIVE_MINUTES
from store.times import DAY_MS, HOUR_MS

#: Of a latency class: what stands after its key, and the column of roll-ups that has it.
PERCENTILE_COLUMNS = {
    "p50": "p50_us",
    "p75": "p75_us",
    "p90": "p90_us",
    "p95": "p95_us",
    "p99": "p99_us",
    "p99.9": "p999_us",
    "max": "max_us",
}
_MOST_SERIES = 100
_MOST_STARS = 3
#: Snapshots that are looked through for numbers: five minutes of them at 30 s, and some more.
_MOST_YOUNG = 12


@dataclass(frozen=True)
class PercentileMetric:
    """`latency.p99`: a percentile, or the maximum, of all requests of a class."""

    class_key: str
    name: str

    @property
    def path(self) -> str:
        """As it is asked for."""
        return f"{self.class_key}.{self.name}"

    @property
    def column(self) -> str:
        """The column of `rollup_latency` that has it."""
        return PERCENTILE_COLUMNS[self.name]


Metric = str | PercentileMetric


def known_metrics(connection: Connection, source: str) -> list[str]:
    """Return the paths of everything that a series can be asked of, sorted."""
    return sorted(_known(connection, source))


def known_classes(connection: Connection, source: str) -> list[str]:
    """Return the latency classes that anything is stored of, sorted."""
    newest = newest_snapshot(connection, source)
    if newest is None:
        return []
    row, raw = rollup_latency.c, interval_histograms.c
    days = select(row.class_key).where(row.source == source, row.tier == DAY.name)
    since_ms = newest.taken_at_ms - 2 * DAY_MS
    recent = select(row.class_key).where(
        row.source == source, row.tier == FIVE_MINUTES.name, row.starts_at >= since_ms
    )
    present = select(raw.class_key).where(
        raw.source == source, raw.taken_at >= newest.taken_at_ms - HOUR_MS
    )
    return sorted(connection.scalars(union(days, recent, present)))


def chosen(connection: Connection, source: str, patterns: Sequence[str]) -> list[Metric]:
    """Return what `patterns` name, each once; a `*` stands for any part of a path.

    Raises QueryError when one names nothing, or all together too much.
    """
    known = _known(connection, source)
    paths: dict[str, None] = {}
    for pattern in patterns:
        if pattern.count("*") > _MOST_STARS:
            # Each more makes a search through a path many times longer.
            raise QueryError("metric", f"expected at most {_MOST_STARS} *")
        found = _matching(known, pattern)
        if not found:
            expected = "no number of that name has been recorded"
            raise QueryError("metric", expected, "unknown_metric")
        paths.update(dict.fromkeys(found))
    if not paths:
        raise QueryError("metric", "expected the path of a number, such as queue.queued")
    if len(paths) > _MOST_SERIES:
        raise QueryError("metric", f"expected at most {_MOST_SERIES} series at once")
    return [known[path] for path in paths]


def _known(connection: Connection, source: str) -> dict[str, Metric]:
    known: dict[str, Metric] = {path: path for path in metric_numbers(connection, source)}
    for document in _youngest(connection, source):
        known.update({path: path for path in numeric_leaves(decode_if_sound(document))})
    for class_key in known_classes(connection, source):
        for name in PERCENTILE_COLUMNS:
            metric = PercentileMetric(class_key, name)
            known[metric.path] = metric
    return known


def _youngest(connection: Connection, source: str) -> Sequence[str]:
    """Return the newest documents: those that are not rolled up yet, if they are not many."""
    query = (
        select(snapshots.c.document)
        .where(snapshots.c.source == source)
        .order_by(snapshots.c.taken_at.desc())
        .limit(_MOST_YOUNG)
    )
    return connection.scalars(query).all()


def _matching(known: Iterable[str], pattern: str) -> list[str]:
    if "*" not in pattern:
        return [pattern] if pattern in known else []
    expression = re.compile(".+".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    return sorted(path for path in known if expression.fullmatch(path))
