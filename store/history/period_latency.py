"""The latency of all requests of a class in any period: exact, from merged histograms."""

from dataclasses import dataclass

from sqlalchemy import Connection

from store.history.answers import names_of
from store.history.asking import Period, QueryError
from store.history.cover import extent_of, pieces
from store.history.metrics import known_classes
from store.history.observed import observed_in, share
from store.intervals import LatencyInterval
from store.rolled import latency_rows


@dataclass(frozen=True)
class PeriodLatency:
    """What the requests of `class_key` were in `period`, merged into one `interval`.

    `period` is what was `asked` for, rounded outwards to what is still stored of its ends' times.
    `interval` is None when nothing is stored of the class in it, which is not the same as no
    requests. `coverage` is the share of the period, as far as it is past, that the class was
    observed: before it was configured nobody counted its requests.
    """

    class_key: str
    asked: Period
    period: Period
    interval: LatencyInterval | None
    coverage: float
    tiers: tuple[str, ...]


def latency_of(
    connection: Connection, source: str, class_key: str, period: Period, now_ms: int
) -> PeriodLatency:
    """Return the latency of `class_key` in `period`. Raises QueryError when there is no such."""
    if class_key not in known_classes(connection, source):
        expected = "no latency class of that name has been recorded"
        raise QueryError("class", expected, "unknown_class")
    extent = extent_of(connection, source)
    used = extent.widened(period)
    parts = list(pieces(extent, used))
    merged: LatencyInterval | None = None
    covered_ms = 0.0
    for part in parts:
        rows = latency_rows(connection, source, part.tier, part.start_ms, part.end_ms, class_key)
        recorded = set()
        for at_ms, row in rows:
            merged = merged or LatencyInterval()
            merged.merge_columns(row)
            recorded.add(at_ms)
        covered_ms += sum(
            one.snapshots * one.ms_each
            for one in observed_in(connection, source, extent, [part])
            if one.starts_at_ms in recorded
        )
    coverage = share(covered_ms, min(used.end_ms, now_ms) - used.start_ms)
    return PeriodLatency(class_key, period, used, merged, coverage, names_of(parts))
