"""The window of a latency class: its last requests, and what the document says about them."""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from config.latency import LatencyClass
from daemon.latency.distribution import distribution
from daemon.latency.routes import slowest_routes
from daemon.requests import Batch, LogLines, Loss, Request, is_error
from store.histograms import LatencyHistogram

_PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
#: Of more notes than this the oldest are put together: a quiet platform may have a noisy log.
_MOST_NOTES = 1000

in_order_of_time = attrgetter("ended_at_ms")


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
        "log_lines": None,
        "window": rules.window if rules else None,
        "oldest_s": None,
        "ceiling_ms": rules.ceiling_ms if rules else None,
        "p95_bar": None,
        "distribution": None,
        "slowest_routes": None,
    }


class Window:
    """The last requests of a class by the time they ended, and what was noted beside them.

    `losses` and `lines` are notes of requests that are lost and of log lines that were read, of
    whatever class.
    """

    def __init__(self, rules: LatencyClass) -> None:
        self.rules = rules
        self.requests: deque[Request] = deque(maxlen=rules.window)
        self.losses: list[Loss] = []
        self.lines: list[LogLines] = []

    def __len__(self) -> int:
        return len(self.requests)

    def takes(self, path: str) -> bool:
        """Say whether a request of `path` belongs here, by include and exclude prefixes."""
        if self.rules.include and not path.startswith(self.rules.include):
            return False
        return not path.startswith(self.rules.exclude)

    def add(self, requests: Sequence[Request]) -> None:
        """Add requests in the order in which they ended; the oldest leave a full window."""
        if not requests:
            return
        is_late = self.requests and _ended_ms(requests[0]) < _ended_ms(self.requests[-1])
        if is_late:
            # A source that was read later than another may have older ones.
            in_order = sorted([*self.requests, *requests], key=in_order_of_time)
            self.requests.clear()
            self.requests.extend(in_order)
        else:
            self.requests.extend(requests)

    def note(self, batch: Batch) -> None:
        """Note what stands beside the requests of a batch that was read now."""
        self.losses += batch.losses
        if batch.lines:
            self.lines.append(LogLines(_now_ms(), batch.lines, batch.unparsed))
        while len(self.losses) > _MOST_NOTES:
            one, other = self.losses[:2]
            self.losses[:2] = [Loss(other.at_ms, _sum([one.requests, other.requests]))]
        while len(self.lines) > _MOST_NOTES:
            (_, read, unparsed), (at_ms, more, also) = self.lines[:2]
            self.lines[:2] = [LogLines(at_ms, read + more, unparsed + also)]

    def describe(self) -> dict[str, Any]:
        """Return the class's entry: percentiles in ms, and what they stand on.

        `oldest_s` is the age of the oldest request; `lost`, `log_lines` and `unparsed` count what
        was noted since it ended, `lost` being null when nobody can say how many there were.
        """
        entry = nothing_known(self.rules)
        oldest_at_ms = _ended_ms(self.requests[0]) if self.requests else 0
        self.losses = [loss for loss in self.losses if loss.at_ms >= oldest_at_ms]
        self.lines = [note for note in self.lines if note.at_ms >= oldest_at_ms]
        histogram = LatencyHistogram()
        durations_us = [request.duration_us for request in self.requests]
        errors = sum(is_error(request.status) for request in self.requests)
        histogram.record_all(durations_us, errors=errors)
        entry |= {
            "samples": histogram.count,
            "errors": histogram.errors,
            "lost": _sum(loss.requests for loss in self.losses),
            "clamped": histogram.clamped,
            "unparsed": sum(note.unparsed for note in self.lines),
            "log_lines": sum(note.read for note in self.lines),
        }
        most_routes = self.rules.routes_shown
        if most_routes:
            told = ((one.path, one.duration_us, one.status) for one in self.requests)
            entry["slowest_routes"] = slowest_routes(told, most_routes)
        if not self.requests:
            return entry
        values_us = histogram.percentiles_us(_PERCENTILES.values())
        percentiles_ms = dict(zip(_PERCENTILES, map(_milliseconds, values_us), strict=True))
        return {
            **entry,
            **percentiles_ms,
            "max": _milliseconds(histogram.max_us),
            "oldest_s": round(max(0, _now_ms() - oldest_at_ms) / 1000, 1),
            "p95_bar": _bar_percent(percentiles_ms["p95"], self.rules.ceiling_ms),
            "distribution": distribution(durations_us),
        }


def _sum(counts: Iterable[int | None]) -> int | None:
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _bar_percent(p95_ms: float | None, ceiling_ms: float) -> float | None:
    """Return p95 in percent of the ceiling, held to 2 to 100 as a bar's length is drawn."""
    return None if p95_ms is None else round(min(max(100 * p95_ms / ceiling_ms, 2.0), 100.0), 1)


def _milliseconds(duration_us: int | None) -> float | None:
    return None if duration_us is None else duration_us / 1000


def _ended_ms(request: Request) -> int:
    return request.ended_at_ms or 0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
