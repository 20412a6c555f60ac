"""The requests of one latency class between two snapshots: what one snapshot adds to the record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from store.histograms import DamagedHistogramError, LatencyHistogram


@dataclass
class LatencyInterval:
    """The distribution of a class's requests, and what stands beside it.

    `oldest_at_ms` and `newest_at_ms` (Unix ms) are when the first and the last of them ended: an
    interval after a restart has those that ended meanwhile. `lost` counts requests, of whatever
    class, that nobody will count, None when nobody knows whether there were any; `log_lines` the
    lines of logs that were read, and `unparsed` those of them that were not understood.
    """

    histogram: LatencyHistogram = field(default_factory=LatencyHistogram)
    oldest_at_ms: int | None = None
    newest_at_ms: int | None = None
    lost: int | None = 0
    unparsed: int = 0
    log_lines: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell of it."""
        return self.histogram.count == 0 and self.lost == 0 and self.log_lines == 0

    def note_time(self, oldest_at_ms: int, newest_at_ms: int) -> None:
        """Widen the interval's times to those of requests that were added."""
        known = [ms for ms in (self.oldest_at_ms, self.newest_at_ms) if ms is not None]
        self.oldest_at_ms = min([oldest_at_ms, *known])
        self.newest_at_ms = max([newest_at_ms, *known])

    def note_loss(self, count: int | None) -> None:
        """Add lost requests; None, once added, stays."""
        self.lost = None if count is None or self.lost is None else self.lost + count

    def merge(self, other: Self) -> None:
        """Add everything that `other` holds."""
        self.histogram.merge(other.histogram)
        if other.oldest_at_ms is not None and other.newest_at_ms is not None:
            self.note_time(other.oldest_at_ms, other.newest_at_ms)
        self.note_loss(other.lost)
        self.unparsed += other.unparsed
        self.log_lines += other.log_lines

    def merge_columns(self, columns: Mapping[str, Any]) -> None:
        """Add what a row of the store holds; the requests of a damaged histogram are lost."""
        if columns["count"]:
            exact = {key: columns[key] for key in ("errors", "clamped", "min_us", "max_us")}
            try:
                self.histogram.merge_encoded(columns["histogram"], **exact)
            except DamagedHistogramError:
                self.note_loss(columns["count"])
        if columns["oldest_at"] is not None and columns["newest_at"] is not None:
            self.note_time(columns["oldest_at"], columns["newest_at"])
        self.note_loss(columns["lost"])
        # Rows of the first revision do not know; they came from logs that were understood.
        self.unparsed += columns["unparsed"] or 0
        self.log_lines += columns["log_lines"] or 0

    def columns(self) -> dict[str, Any]:
        """Return its values as the store's columns hold them."""
        histogram = self.histogram
        return {
            "count": histogram.count,
            "errors": histogram.errors,
            "clamped": histogram.clamped,
            "min_us": histogram.min_us,
            "max_us": histogram.max_us,
            "oldest_at": self.oldest_at_ms,
            "newest_at": self.newest_at_ms,
            "lost": self.lost,
            "unparsed": self.unparsed,
            "log_lines": self.log_lines,
            "histogram": histogram.encode(),
        }

    @classmethod
    def of_columns(cls, columns: Mapping[str, Any]) -> Self:
        """Return the interval that `columns` hold."""
        interval = cls()
        interval.merge_columns(columns)
        return interval
