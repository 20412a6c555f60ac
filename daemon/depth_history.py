"""How deep the queue is compared with the last seven days."""

from collections import deque

#: How far back depths count, in milliseconds.
WINDOW_MS = 7 * 86_400_000
#: Below this many depths a rank says nothing.
FEWEST = 100


class DepthHistory:
    """The queue depths of the last seven days' snapshots, oldest first."""

    def __init__(self) -> None:
        self._depths: deque[tuple[int, int]] = deque()

    def add(self, at_ms: int, depth: int) -> None:
        """Append a depth that was stored at `at_ms` (Unix ms)."""
        self._depths.append((at_ms, depth))

    def percentile_rank(self, depth: int, now_ms: int) -> float | None:
        """Return the percentile rank of `depth` in percent, None below 100 stored depths.

        100 * (number below + half of the number equal) / number, so that a depth that never
        changes ranks 50 (https://en.wikipedia.org/wiki/Percentile_rank).
        """
        while self._depths and self._depths[0][0] < now_ms - WINDOW_MS:
            self._depths.popleft()
        if len(self._depths) < FEWEST:
            return None
        below = sum(1 for _, other in self._depths if other < depth)
        equal = sum(1 for _, other in self._depths if other == depth)
        return round(100 * (below + equal / 2) / len(self._depths), 1)
