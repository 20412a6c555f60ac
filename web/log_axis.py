"""A logarithmic axis of durations: where a duration stands on it, and ticks from 1 µs to 1 h."""

import math
from dataclasses import dataclass, replace
from typing import Final

from web.placed_text import PlacedText

#: The decades, which become minutes and an hour in the end.
_DECADES_MS: Final = {
    0.001: "1 µs",
    0.01: "10 µs",
    0.1: "100 µs",
    1.0: "1 ms",
    10.0: "10 ms",
    100.0: "100 ms",
    1_000.0: "1 s",
    10_000.0: "10 s",
    60_000.0: "1 min",
    600_000.0: "10 min",
    3_600_000.0: "1 h",
}
#: Where an axis may begin and end too.
_HALVES_MS: Final = {
    0.003: "3 µs",
    0.03: "30 µs",
    0.3: "300 µs",
    3.0: "3 ms",
    30.0: "30 ms",
    300.0: "300 ms",
    3_000.0: "3 s",
    30_000.0: "30 s",
    180_000.0: "3 min",
    1_800_000.0: "30 min",
}
_TICKS_MS: Final = dict(sorted((_DECADES_MS | _HALVES_MS).items()))


@dataclass(frozen=True)
class LogAxis:
    """The durations from `low_ms` to `high_ms`, at 0 to 100 percent."""

    low_ms: float
    high_ms: float

    @classmethod
    def over(cls, from_ms: float, to_ms: float) -> "LogAxis":
        """Return the axis from the last tick before `from_ms` to the first after `to_ms`."""
        low_ms = max((at for at in _TICKS_MS if at <= from_ms), default=from_ms)
        high_ms = min((at for at in _TICKS_MS if at >= to_ms), default=to_ms)
        return cls(low_ms, high_ms)

    def __contains__(self, ms: float) -> bool:
        return self.low_ms <= ms <= self.high_ms

    def place(self, ms: float) -> float:
        """Return where `ms` stands, at the nearer end when it is outside."""
        within = min(max(ms, self.low_ms), self.high_ms)
        return 100 * math.log(within / self.low_ms) / math.log(self.high_ms / self.low_ms)

    def ticks(self) -> list[PlacedText]:
        """Return a tick for each decade and for the ends, without a text where there is no room."""
        inside = [ms for ms in _TICKS_MS if ms in self]
        decades = [ms for ms in inside if ms in _DECADES_MS]
        marked = {
            ms: PlacedText.at(self.place(ms), _TICKS_MS[ms])
            for ms in sorted({*decades, *inside[:1], *inside[-1:]})
        }
        told: list[PlacedText] = []
        # The decades come first, and of them the last, which is at an end of the figure.
        for ms in dict.fromkeys([*decades[-1:], *decades, *marked]):
            if not any(marked[ms].covers(other) for other in told):
                told.append(marked[ms])
        return [tick if tick in told else replace(tick, text="") for tick in marked.values()]
