"""The day before a snapshot: the line of every number in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from store.rolling_up import progress_of
from store.times import DAY_MS
from web.day_columns import FINE, Strand, strands_for
from web.sparkline import Point, Sparkline


@dataclass(frozen=True)
class Day:
    """The lines by path, of what was between two times (Unix ms).

    A point is `step_ms` wide, and `percentiles_step_ms` when it is a percentile of requests. Both
    are None where the record has no day yet: then the points are the snapshots themselves.
    """

    start_ms: int
    end_ms: int
    lines: Mapping[str, Sparkline]
    step_ms: int | None = None
    percentiles_step_ms: int | None = None


class LastDay:
    """The day before the newest snapshot, kept: of the store only what is new is read.

    Not safe to call from several threads.
    """

    def __init__(self, source: str, strands: tuple[Strand, ...] = FINE) -> None:
        """Prepare, with nothing read."""
        self._source = source
        self._kept = [_Kept(strand) for strand in strands]
        self._lines: dict[str, Sparkline] = {}

    def before(self, connection: Connection, taken_at_ms: int) -> Day:
        """Return the day before the snapshot taken then, of whole periods that end by it.

        Raises SQLAlchemy's errors; what was read until then is read again the next time.
        """
        progress = progress_of(connection, self._source)
        moved = [
            kept.move_on(connection, self._source, taken_at_ms, progress.get(kept.tier, 0))
            for kept in self._kept
        ]
        if any(moved):
            self._lines = {path: line for kept in self._kept for path, line in kept.lines()}
        start_ms = self._kept[0].extent[0]
        end_ms = self._kept[0].end_ms
        return Day(start_ms, end_ms, self._lines, *(kept.strand.step_ms for kept in self._kept))


def day_before(connection: Connection, source: str, taken_at_ms: int) -> Day:
    """Return the day before the snapshot taken then, as `LastDay` does, of any time."""
    strands = strands_for(connection, source, taken_at_ms - DAY_MS, taken_at_ms)
    return LastDay(source, strands).before(connection, taken_at_ms)


@dataclass
class _Kept:
    """The columns of a strand, by path and beginning.

    They end with the last whole period before the snapshot, and were read when the rows until
    `made_ms` had been made.
    """

    strand: Strand
    end_ms: int = 0
    made_ms: int = 0
    columns: dict[str, dict[int, Point]] = field(default_factory=dict)

    @property
    def tier(self) -> str:
        return self.strand.tier.name

    @property
    def extent(self) -> tuple[int, int]:
        """When the first column begins, and the last one ends, which may not be whole yet."""
        end_ms = -(-self.end_ms // self.strand.step_ms) * self.strand.step_ms
        return end_ms - DAY_MS, end_ms

    def move_on(
        self, connection: Connection, source: str, taken_at_ms: int, progress_ms: int
    ) -> bool:
        """Read what is new before the snapshot; say whether there was anything."""
        end_ms = self.strand.tier.start_of(taken_at_ms)
        made_ms = min(progress_ms, end_ms)
        if (end_ms, made_ms) == (self.end_ms, self.made_ms):
            return False
        goes_on = self.end_ms <= end_ms < self.end_ms + DAY_MS and self.made_ms <= made_ms
        columns, from_ms = (self.columns, self.made_ms) if goes_on else ({}, 0)
        self.end_ms, self.made_ms, self.columns = end_ms, 0, columns
        start_ms = self.extent[0]
        # The column that was not whole is read as a whole.
        from_ms = max(start_ms, from_ms - from_ms % self.strand.step_ms)
        for path, at_ms, point in self.strand.read(
            connection, source, self.strand, from_ms, end_ms
        ):
            columns.setdefault(path, {})[at_ms] = point
        self.columns = {
            path: left
            for path, some in columns.items()
            if (left := {at: point for at, point in some.items() if at >= start_ms})
        }
        self.made_ms = made_ms
        return True

    def lines(self) -> list[tuple[str, Sparkline]]:
        """Return the lines of what can be drawn, by path."""
        times = range(*self.extent, self.strand.step_ms)
        drawn = (
            (path, Sparkline.of([some.get(at_ms) for at_ms in times]))
            for path, some in self.columns.items()
        )
        return [(path, line) for path, line in drawn if line is not None]
