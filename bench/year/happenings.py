"""What goes wrong, and when: of each day by dice of its own, so that any day can be asked for."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from store.times import DAY_MS, MINUTE_MS

Kind = Literal["down", "failing", "partial", "slow", "stopped", "restart"]
#: Nothing lasts longer, so that what is going on began today or yesterday.
_LONGEST_MIN = 20 * 60


@dataclass(frozen=True)
class Happening:
    """Something that was so in [`starts_at_ms`, `ends_at_ms`), Unix ms.

    `down`: the node `name` does not answer. `failing`: the section `name` cannot be read, for
    `reason`; `partial`: part of it. `slow`: requests take longer. `stopped`: the daemon does not
    run. `restart`: the platform begins anew at its end.
    """

    kind: Kind
    name: str
    starts_at_ms: int
    ends_at_ms: int
    reason: str


@dataclass(frozen=True)
class _Habit:
    """How many a day, how long (median in minutes, spread of its logarithm), and the reasons."""

    kind: Kind
    name: str
    a_day: float
    median_min: float
    spread: float
    reasons: tuple[str, ...] = ("",)


_NODE = ("timeout", "timeout", "refused", "unreachable", "http_status")
_DATABASE = ("locked", "locked", "timeout", "unreadable")
_HABITS = (
    _Habit("down", "node-1", 0.03, 6, 1.0, _NODE),
    _Habit("down", "node-2", 0.05, 9, 1.1, _NODE),
    _Habit("down", "node-3", 0.12, 20, 1.3, _NODE),
    _Habit("down", "node-4", 0.20, 12, 1.4, _NODE),
    *(
        _Habit("failing", name, 0.05, 3, 1.3, _DATABASE)
        for name in ("queue", "outcomes", "experiments")
    ),
    _Habit("failing", "latency", 0.01, 15, 0.8, ("unreadable",)),
    _Habit("partial", "state", 0.06, 4, 1.0, ("timeout", "refused", "http_status")),
    _Habit("partial", "pipeline", 0.04, 5, 1.0, ("locked", "timeout")),
    _Habit("slow", "", 0.15, 25, 0.9),
    _Habit("stopped", "", 0.30, 0.5, 0.2),
    _Habit("stopped", "", 0.06, 8, 1.6),
    _Habit("restart", "", 0.35, 0.6, 0.4),
)


class Timeline:
    """Everything that happens, by `seed`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._of_day = lru_cache(maxsize=64)(self._throw)

    def between(self, starts_at_ms: int, ends_at_ms: int) -> list[Happening]:
        """Return what was going on in the period (Unix ms), in order of its begin."""
        days = range(starts_at_ms // DAY_MS - 1, (ends_at_ms - 1) // DAY_MS + 1)
        return [
            one
            for day in days
            for one in self._of_day(day)
            if one.starts_at_ms < ends_at_ms and one.ends_at_ms > starts_at_ms
        ]

    def last_restart_ms(self, at_ms: int) -> int:
        """Return when the platform began the last time before or at `at_ms` (Unix ms)."""
        day = at_ms // DAY_MS
        while True:
            ends = [one.ends_at_ms for one in self._of_day(day) if one.kind == "restart"]
            if past := [ends_at_ms for ends_at_ms in ends if ends_at_ms <= at_ms]:
                return max(past)
            day -= 1

    def _throw(self, day: int) -> tuple[Happening, ...]:
        dice = random.Random(f"{self._seed} {day}")
        return tuple(
            sorted(
                (one for habit in _HABITS for one in _thrown(dice, habit, day * DAY_MS)),
                key=lambda one: one.starts_at_ms,
            )
        )


def _thrown(dice: random.Random, habit: _Habit, midnight_ms: int) -> Iterator[Happening]:
    # At most one a day of a kind: so no two of a node ever begin together.
    if dice.random() >= habit.a_day:
        return
    starts_at_ms = midnight_ms + dice.randrange(DAY_MS)
    minutes = min(dice.lognormvariate(0, habit.spread) * habit.median_min, _LONGEST_MIN)
    ends_at_ms = starts_at_ms + round(minutes * MINUTE_MS)
    yield Happening(habit.kind, habit.name, starts_at_ms, ends_at_ms, dice.choice(habit.reasons))
