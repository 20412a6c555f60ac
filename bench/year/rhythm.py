"""How busy the platform is: by the hour, by the day of the week, and more every month."""

from math import pi, sin

from store.times import DAY_MS

#: 2025-01-01T00:00:00Z (Unix ms), from which everything has grown.
_BEGAN_MS = 1_735_689_600_000
#: The swing of a day around its mean, and the part of the day at which it rises through it.
_SWING, _RISES = 0.62, 0.40
#: Monday to Sunday, 1 January 1970 being a Thursday.
_DAYS = (0.92, 0.94, 0.95, 0.97, 1.03, 1.14, 1.05)
_MONDAY = 3
_GROWTH_A_DAY = 0.0011


def busyness(at_ms: int) -> float:
    """Return the traffic at `at_ms` (Unix ms) as a multiple of an average moment of early 2025."""
    days = at_ms / DAY_MS
    day = int(days)
    return _of_week(day, days - day) * (1 + _swing(days)) * growth(at_ms)


def growth(at_ms: int) -> float:
    """Return how much larger the platform is at `at_ms` (Unix ms) than when it began."""
    return 1 + _GROWTH_A_DAY * days_since_begin(at_ms)


def days_since_begin(at_ms: int) -> float:
    """Return how many days there have been by `at_ms` (Unix ms), less than 0 before the first."""
    return (at_ms - _BEGAN_MS) / DAY_MS


def counted(at_ms: int, begin: float, a_day: float) -> int:
    """Return a counter that stood at `begin` and grows by `a_day`, faster when the day is busy.

    It never goes back.
    """
    days = days_since_begin(at_ms)
    return int(begin + a_day * (days - _SWING / (2 * pi) * sin(2 * pi * (days - _RISES + 0.25))))


def _swing(days: float) -> float:
    return _SWING * sin(2 * pi * (days - _RISES))


def _of_week(day: int, part: float) -> float:
    today, tomorrow = _DAYS[(day + _MONDAY) % 7], _DAYS[(day + _MONDAY + 1) % 7]
    return today + (tomorrow - today) * part
