"""What an operator wants to know of a source of requests: what it is, how fresh, how busy."""

import time
from dataclasses import dataclass

from daemon.requests import Batch, RequestSource

#: What counts as the present, in seconds.
_RECENTLY_S = 60.0


@dataclass(frozen=True)
class Look:
    """What a source shows: its parts in words, the newest request's age, requests a second.

    `age_s` is None without a request; `rate_per_s` is over the last minute, or over the time since
    the oldest request that can be seen if that is shorter.
    """

    parts: str
    age_s: float | None
    rate_per_s: float

    def __str__(self) -> str:
        if self.age_s is None:
            return f"{self.parts}; no request yet"
        newest = f"newest request {_duration(self.age_s)} ago"
        return f"{self.parts}; {newest}; {self.rate_per_s:.1f} requests/s in the last minute"


def look_at(source: RequestSource) -> Look:
    """Look at `source` from its first start, changing nothing. Raises SampleError."""
    now_ms = time.time_ns() / 1e6
    since_ms = now_ms - _RECENTLY_S * 1000
    newest_ms, oldest_ms, recent = 0, int(now_ms), 0

    def note(batch: Batch) -> None:
        nonlocal newest_ms, oldest_ms, recent
        for request in batch.requests:
            ended_ms = request.ended_at_ms or 0
            newest_ms, oldest_ms = max(newest_ms, ended_ms), min(oldest_ms, ended_ms)
            recent += ended_ms >= since_ms

    try:
        source.begin(None)
        for batch in source.newest_before():
            note(batch)
            if oldest_ms < since_ms:
                break
        for batch in source.read_new():
            note(batch)
        seen_s = min(_RECENTLY_S, max((now_ms - oldest_ms) / 1000, 1.0))
        age_s = max(0.0, (now_ms - newest_ms) / 1000) if newest_ms else None
        return Look(source.parts(), age_s, recent / seen_s)
    finally:
        source.close()


def _duration(seconds: float) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes, in seconds
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"  # noqa: PLR2004
