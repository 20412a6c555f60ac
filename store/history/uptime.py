"""Uptime of nodes: up, down and unknown. Nobody looking is neither up nor down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from store.history.asking import Period
from store.history.cover import Extent, extent_of, pieces
from store.history.values import Value, values_in
from store.times import DAY_MS


@dataclass(frozen=True)
class Uptime:
    """How long a node was up, down and not observed in `period`, in ms; together its length."""

    name: str
    period: Period
    up_ms: int
    down_ms: int
    unknown_ms: int

    @property
    def up_share(self) -> float | None:
        """The share of the observed time that the node was up, None when nothing was observed."""
        observed_ms = self.up_ms + self.down_ms
        return self.up_ms / observed_ms if observed_ms else None


def uptimes(
    connection: Connection, source: str, nodes: Sequence[str], period: Period
) -> list[Uptime]:
    """Return the uptime of each of `nodes`, named by their ids, in `period`.

    `period` should end at the present, or before: what is to come is unknown. It is widened to
    what is still stored of its ends' times.
    """
    extent = extent_of(connection, source)
    period = extent.widened(period)
    values = _ups(connection, source, extent, nodes, period)
    return [_uptime(node, period, values[node]) for node in nodes]


def daily_uptimes(
    connection: Connection, source: str, nodes: Sequence[str], period: Period
) -> dict[str, list[Uptime]]:
    """Return the uptime of each of `nodes` in each UTC day that `period` has a part of.

    `period` as for `uptimes`.
    """
    extent = extent_of(connection, source)
    period = extent.widened(period)
    values = _ups(connection, source, extent, nodes, period)
    days = [
        Period(max(start_ms, period.start_ms), min(start_ms + DAY_MS, period.end_ms))
        for start_ms in range(period.start_ms // DAY_MS * DAY_MS, period.end_ms, DAY_MS)
    ]
    result = {}
    for node in nodes:
        by_day: dict[int, list[Value]] = {}
        for value in values[node]:
            by_day.setdefault(value.at_ms // DAY_MS, []).append(value)
        result[node] = [_uptime(node, day, by_day.get(day.start_ms // DAY_MS, ())) for day in days]
    return result


def _ups(
    connection: Connection, source: str, extent: Extent, nodes: Sequence[str], period: Period
) -> dict[str, list[Value]]:
    paths = {f"nodes.{node}.up": node for node in nodes}
    values: dict[str, list[Value]] = {node: [] for node in nodes}
    parts = pieces(extent, period)
    for value in values_in(connection, source, extent, parts, list(paths)):
        values[paths[value.path]].append(value)
    return values


def _uptime(node: str, period: Period, values: Iterable[Value]) -> Uptime:
    up_ms = observed_ms = 0.0
    for value in values:
        up_ms += value.summary.total * value.ms_each
        observed_ms += value.summary.count * value.ms_each
    if observed_ms > period.length_ms:
        # The newest snapshot stands for time that is to come, one at a start for some twice.
        up_ms *= period.length_ms / observed_ms
        observed_ms = period.length_ms
    up, observed = round(up_ms), round(observed_ms)
    return Uptime(node, period, up, observed - up, period.length_ms - observed)
