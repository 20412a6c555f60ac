"""Requests in bulk: intervals and windows drawn once for each level of traffic, then used again."""

import random
from functools import lru_cache
from itertools import cycle, islice
from math import log2, sqrt
from typing import Any

from config.latency import LatencyClass
from daemon.latency.window import Window
from daemon.requests import Request
from store.histograms import LatencyHistogram
from store.intervals import LatencyInterval

#: Levels of traffic to a doubling, and how many different draws there are of each.
LEVELS_A_DOUBLING = 4
DRAWS = 16
#: More requests than these repeat each other.
_MOST_DRAWN = 1000
#: Median of a request in microseconds and spread of its logarithm, by class; those of a bad time.
_QUIET = {"latency": (7000.0, 0.75), "latency_admin": (2_200_000.0, 0.9)}
_SLOW = {"latency": (24_000.0, 1.15), "latency_admin": (9_000_000.0, 1.1)}
_ERRORS, _ERRORS_WHEN_SLOW = 0.002, 0.03
#: Paths of users, and how much longer than the median their requests take.
_PATHS = (
    ("/api/feed", 1.2),
    ("/", 0.7),
    ("/watch/dQw4w9WgXcQ", 1.5),
    ("/api/feed/watch", 0.15),
    ("/api/videos/4711/comments", 2.4),
    ("/agents/12", 0.9),
)


class _StoredHistogram(LatencyHistogram):
    """What the store takes of a histogram, without its 24,000 counts."""

    def __init__(self, whole: LatencyHistogram) -> None:
        """Keep the encoding and the exact figures of `whole`."""
        self._encoded = whole.encode()
        self.count, self.errors, self.clamped = whole.count, whole.errors, whole.clamped
        self.min_us, self.max_us = whole.min_us, whole.max_us

    def encode(self) -> bytes:
        """Return what `whole` was encoded to."""
        return self._encoded


class Traffic:
    """Draws of requests by `seed`; a draw is a number, the same one always being the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._histogram = lru_cache(maxsize=None)(self._draw_histogram)
        self.window = lru_cache(maxsize=None)(self._draw_window)

    def interval(
        self, key: str, requests: float, *, is_slow: bool, draw: float, ends_at_ms: int, age_ms: int
    ) -> LatencyInterval:
        """Return an interval of about `requests` requests of class `key`; `draw` is 0 to 1.

        They ended in the `age_ms` before `ends_at_ms` (Unix ms).
        """
        level = round(LEVELS_A_DOUBLING * log2(requests)) if requests > 0.5 else None
        number = int(draw * DRAWS)
        histogram = self._histogram(key, level, is_slow, number)
        interval = LatencyInterval(histogram)
        if histogram.count:
            step_ms = age_ms // (histogram.count + 1)
            interval.note_time(ends_at_ms - age_ms + step_ms, ends_at_ms - step_ms)
        return interval

    def _draw_histogram(
        self, key: str, level: int | None, is_slow: bool, number: int
    ) -> LatencyHistogram:
        dice = random.Random(f"{self._seed} {key} {level} {is_slow} {number}")
        expected = 0.0 if level is None else 2 ** (level / LEVELS_A_DOUBLING)
        count = max(0, round(dice.gauss(expected, sqrt(expected))))
        whole = LatencyHistogram()
        drawn = [
            _duration_us(dice, key, level or 0, is_slow) for _ in range(min(count, _MOST_DRAWN))
        ]
        # After hours without the daemon there are very many.
        durations_us = list(islice(cycle(drawn), count))
        share = _ERRORS_WHEN_SLOW if is_slow else _ERRORS
        whole.record_all(durations_us, errors=sum(dice.random() < share for _ in durations_us))
        return _StoredHistogram(whole)

    def _draw_window(
        self, rules: LatencyClass, level: int, is_slow: bool, number: int
    ) -> dict[str, Any]:
        """Return the entry of a full window of a class, as the daemon describes one."""
        dice = random.Random(f"{self._seed} window {rules.key} {level} {is_slow} {number}")
        window, share = Window(rules), _ERRORS_WHEN_SLOW if is_slow else _ERRORS
        requests = []
        for _ in range(rules.window):
            path, times = ("/admin/backfill", 1.0) if rules.include else dice.choice(_PATHS)
            duration_us = round(_duration_us(dice, rules.key, level, is_slow) * times)
            requests.append(Request(0, duration_us, 500 if dice.random() < share else 200, path))
        window.add(requests)
        return window.describe()


def _duration_us(dice: random.Random, key: str, level: int, is_slow: bool) -> int:
    """Return how long a request takes: longer at a higher level of traffic."""
    median_us, spread = (_SLOW if is_slow else _QUIET)[key]
    return max(1, int(dice.lognormvariate(0, spread) * median_us * 1.03**level))
