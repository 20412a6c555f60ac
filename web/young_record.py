"""A record that has just begun: every number's line, of the snapshots themselves.

A day with an hour or two of it drawn says little. So the lines of a young record begin where it
begins, and their columns grow wider with it.
"""

from typing import Final

from sqlalchemy import Connection, func, select

from store.codec import Document, decode
from store.leaves import numeric_leaves
from store.reading import documents_since
from store.tables import snapshots
from store.times import HOUR_MS
from web.day import Day
from web.day_columns import PERCENTILES, is_shown
from web.formatting import is_number
from web.newest import ServedSnapshot
from web.sparkline import Point, Sparkline

#: So long a record is young.
_YOUTH_MS: Final = 6 * HOUR_MS
_MOST_COLUMNS: Final = 96


class YoungRecord:
    """The lines since the record began, kept: of the store only new snapshots are read.

    Not safe to call from several threads.
    """

    def __init__(self, source: str) -> None:
        """Prepare, with nothing read."""
        self._source = source
        self._first_ms, self._newest_ms, self._step_ms = 0, 0, 0
        self._columns: dict[str, dict[int, Point]] = {}

    def until(self, connection: Connection, snapshot: ServedSnapshot) -> Day | None:
        """Return the lines up to `snapshot`, None when the record is not young any more.

        Raises SQLAlchemy's errors, and ValueError for a document that is none.
        """
        first_ms = connection.scalar(
            select(func.min(snapshots.c.taken_at)).where(snapshots.c.source == self._source)
        )
        taken_at_ms = snapshot.taken_at_ms
        if first_ms is None or taken_at_ms - first_ms > _YOUTH_MS:
            self._columns = {}
            return None
        if first_ms != self._first_ms or taken_at_ms < self._newest_ms:
            self._first_ms, self._newest_ms, self._columns = first_ms, first_ms - 1, {}
            self._step_ms = int(snapshot.document["interval_s"]) * 1000
        for stored in documents_since(connection, self._source, self._newest_ms):
            if stored.taken_at_ms > taken_at_ms:
                break
            self._take(stored.taken_at_ms, _numbers(decode(stored.document)))
            self._newest_ms = stored.taken_at_ms
        start, end = first_ms // self._step_ms, taken_at_ms // self._step_ms + 1
        lines = {
            path: line
            for path, some in self._columns.items()
            if (line := Sparkline.of([some.get(column) for column in range(start, end)]))
        }
        return Day(first_ms, taken_at_ms, lines)

    def _take(self, taken_at_ms: int, values: dict[str, float]) -> None:
        while (taken_at_ms - self._first_ms) // self._step_ms >= _MOST_COLUMNS:
            self._widen()
        column = taken_at_ms // self._step_ms
        for path, value in values.items():
            some = self._columns.setdefault(path, {})
            # Of a column it is the last value that the line goes to: percentiles have no mean.
            some[column] = _around(some.get(column), Point(value, value, value))

    def _widen(self) -> None:
        self._step_ms *= 2
        for path, some in self._columns.items():
            wider: dict[int, Point] = {}
            for column, point in some.items():
                wider[column // 2] = _around(wider.get(column // 2), point)
            self._columns[path] = wider


def _numbers(document: Document) -> dict[str, float]:
    """Return the numbers of a document as its page shows them, by path."""
    shown = {path: value for path, value in numeric_leaves(document).items() if is_shown(path)}
    for key, values in document.items():
        # Series have the percentiles of their own periods; here are those of the window.
        if isinstance(values, dict) and f"{key}.samples" in shown:
            told = ((f"{key}.{name}", values.get(name)) for name in PERCENTILES)
            shown.update((path, value) for path, value in told if is_number(value))
    return shown


def _around(before: Point | None, point: Point) -> Point:
    if before is None:
        return point
    return Point(min(before.low, point.low), point.value, max(before.high, point.high))
