"""The window of a latency class: its last requests, and what the document says about them."""

import time
from collections import deque
from typing import Any

from config.latency import LatencyClass
from daemon.access_log.formats import Request
from store.histograms import LatencyHistogram

_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
_LOWEST_SERVER_ERROR = 500


def nothing_known(rules: LatencyClass | None) -> dict[str, Any]:
    """Return a class's entry in the document with every measured value null."""
    return {
        "title": rules.title if rules else None,
        **dict.fromkeys(_PERCENTILES),
        "max": None,
        "samples": None,
        "errors": None,
        "lost": None,
        "clamped": None,
        "unparsed": None,
        "window": rules.window if rules else None,
        "oldest_s": None,
        "ceiling_ms": rules.ceiling_ms if rules else None,
        "p95_bar": None,
    }


def is_error(request: Request) -> bool:
    """Say whether the server failed: status 500 and above."""
    return request.status >= _LOWEST_SERVER_ERROR


class Window:
    """The last requests of a class, and the lines beside them that were not understood."""

    def __init__(self, rules: LatencyClass) -> None:
        self.rules = rules
        self._requests: deque[tuple[int, int, bool]] = deque(maxlen=rules.window)
        self._unparsed: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._requests)

    def takes(self, path: str) -> bool:
        """Say whether a request of `path` belongs here, by include and exclude prefixes."""
        if self.rules.include and not path.startswith(self.rules.include):
            return False
        return not path.startswith(self.rules.exclude)

    def add(self, request: Request) -> None:
        """Make `request` the newest; the oldest leaves a full window."""
        self._requests.append((request.ended_at_ms or 0, request.duration_us, is_error(request)))

    def add_unparsed(self, lines: int) -> None:
        """Note that `lines` lines, of whatever class, were read now and not understood."""
        if lines:
            self._unparsed.append((_now_ms(), lines))

    def describe(self, truncated_at_ms: int | None) -> dict[str, Any]:
        """Return the class's entry: percentiles in ms, and what they stand on.

        `oldest_s` is the age of the oldest request. `unparsed` counts lines that were read since
        that request and not understood. `lost` is null while a truncation of a log in place
        (`truncated_at_ms`) is younger than that request: nobody can count what it took.
        """
        entry = nothing_known(self.rules)
        if not self._requests:
            unparsed = sum(lines for _, lines in self._unparsed)
            return {**entry, "samples": 0, "errors": 0, "clamped": 0, "unparsed": unparsed}
        histogram = LatencyHistogram()
        for _, duration_us, failed in self._requests:
            histogram.record(duration_us, is_error=failed)
        oldest_at_ms = min(ended_at_ms for ended_at_ms, _, _ in self._requests)
        while self._unparsed and self._unparsed[0][0] < oldest_at_ms:
            self._unparsed.popleft()
        values_us = histogram.percentiles_us(_PERCENTILES.values())
        percentiles_ms = dict(zip(_PERCENTILES, map(_milliseconds, values_us), strict=True))
        may_have_lost = truncated_at_ms is not None and truncated_at_ms >= oldest_at_ms
        return {
            **entry,
            **percentiles_ms,
            "max": _milliseconds(histogram.max_us),
            "samples": histogram.count,
            "errors": histogram.errors,
            "lost": None if may_have_lost else 0,
            "clamped": histogram.clamped,
            "unparsed": sum(lines for _, lines in self._unparsed),
            "oldest_s": round(max(0, _now_ms() - oldest_at_ms) / 1000, 1),
            "p95_bar": _bar_percent(percentiles_ms["p95"], self.rules.ceiling_ms),
        }


def _bar_percent(p95_ms: float | None, ceiling_ms: float) -> float | None:
    """Return p95 in percent of the ceiling, held to 2 to 100 as a bar's length is drawn."""
    return None if p95_ms is None else round(min(max(100 * p95_ms / ceiling_ms, 2.0), 100.0), 1)


def _milliseconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
