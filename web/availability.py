"""How available each node was: its days as a bar, and its uptime over four periods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from store.history.asking import Period
from store.history.uptime import Uptime, daily_uptimes, uptimes
from store.tiers import DAY
from store.times import DAY_MS
from web.settled import complete_until
from web.status_bar import StatusBar, status_bar

_DAYS: Final = 90
_PERIODS_MS: Final = {"24 h": DAY_MS, "7 d": 7 * DAY_MS, "30 d": 30 * DAY_MS, "90 d": 90 * DAY_MS}
#: More than that many nodes and days are not kept in memory.
_MOST_KEPT: Final = 100_000


@dataclass(frozen=True)
class Availability:
    """Of a node: the bar of its days, and its uptimes by period."""

    node: str
    bar: StatusBar
    uptimes: Mapping[str, Uptime]


class Availabilities:
    """Reads how available nodes were; a day that nothing will be added to is read once.

    Not safe to call from several threads.
    """

    def __init__(self, source: str) -> None:
        """Prepare, with nothing read."""
        self._source = source
        self._days: dict[tuple[str, int], Uptime] = {}

    def until(
        self, connection: Connection, nodes: Sequence[str], until_ms: int
    ) -> list[Availability]:
        """Return how available the nodes of these ids were before `until_ms` (Unix ms).

        Raises SQLAlchemy's errors.
        """
        days = self._days_until(connection, nodes, until_ms)
        found: dict[str, dict[str, Uptime]] = {node: {} for node in nodes}
        for told, length_ms in _PERIODS_MS.items():
            period = Period(until_ms - length_ms, until_ms)
            for uptime in uptimes(connection, self._source, nodes, period):
                found[uptime.name][told] = uptime
        return [Availability(node, status_bar(days[node]), found[node]) for node in nodes]

    def _days_until(
        self, connection: Connection, nodes: Sequence[str], until_ms: int
    ) -> dict[str, list[Uptime]]:
        today_ms = DAY.start_of(until_ms - 1)
        starts_ms = range(today_ms - (_DAYS - 1) * DAY_MS, today_ms + 1, DAY_MS)
        unread_ms = (at for at in starts_ms if any((node, at) not in self._days for node in nodes))
        first_ms = next(unread_ms, until_ms)
        read: dict[str, list[Uptime]] = {node: [] for node in nodes}
        if first_ms < until_ms:
            read = daily_uptimes(connection, self._source, nodes, Period(first_ms, until_ms))
        days = {
            node: [self._days[node, at] for at in starts_ms if at < first_ms] + read[node]
            for node in nodes
        }
        self._keep(read, complete_until(connection, self._source, DAY, until_ms))
        return days

    def _keep(self, read: Mapping[str, Sequence[Uptime]], complete_ms: int) -> None:
        if len(self._days) > _MOST_KEPT:
            self._days.clear()
        for node, days in read.items():
            for day in days:
                if day.period.end_ms <= complete_ms and day.period.length_ms == DAY_MS:
                    self._days[node, day.period.start_ms] = day


def nodes_of(document: Mapping[str, Any]) -> list[str]:
    """Return the ids of a document's nodes, in its order, each once."""
    nodes = document.get("nodes")
    ids = (
        node.get("id")
        for node in (nodes if isinstance(nodes, list) else ())
        if isinstance(node, dict)
    )
    return list(dict.fromkeys(one for one in ids if isinstance(one, str)))
