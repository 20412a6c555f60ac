"""What is told up to the last full hour: the uptime of nodes, and how much of a week was seen."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from store.history.asking import Period
from store.history.cover import extent_of, pieces
from store.history.observed import observed_in
from store.times import DAY_MS
from web.availability import Availabilities, Availability

WEEK_MS: Final = 7 * DAY_MS

Told = tuple[list[Availability], int]


class LastHour:
    """Reads it once an hour. Not safe to call from several threads."""

    def __init__(self, source: str) -> None:
        """Prepare, with nothing read."""
        self._source = source
        self._availabilities = Availabilities(source)
        self._key: tuple[int, tuple[str, ...]] | None = None
        self._told: Told = ([], 0)

    def before(self, connection: Connection, nodes: Sequence[str], until_ms: int) -> Told:
        """Return how available `nodes` were until then (Unix ms), and what was observed in ms.

        Raises SQLAlchemy's errors.
        """
        key = (until_ms, tuple(nodes))
        if key != self._key:
            known = self._availabilities.until(connection, nodes, until_ms)
            self._told = (known, _observed_ms(connection, self._source, until_ms))
            self._key = key
        return self._told


def _observed_ms(connection: Connection, source: str, until_ms: int) -> int:
    """Return how much of the week before `until_ms` was observed, in ms."""
    extent = extent_of(connection, source)
    parts = pieces(extent, Period(until_ms - WEEK_MS, until_ms))
    seen = observed_in(connection, source, extent, parts)
    return min(WEEK_MS, round(sum(one.snapshots * one.ms_each for one in seen)))
