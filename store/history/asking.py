"""What a question about the past says: its period, its step, and what is wrong with it."""

import re
from dataclasses import dataclass

from store.history.times import query_time_ms
from store.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_STEP = re.compile(r"(\d{1,7})(s|m|h|d)?")
_UNIT_MS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}
_STEP_EXPECTED = "auto, whole seconds, or such as 30s, 5m, 2h, 1d"
_LONGEST_STEP_MS = 366 * DAY_MS
#: 3000-01-01T00:00:00Z: no series of automatic steps has more points than one may have.
_LATEST_MS = 32_503_680_000_000


class QueryError(ValueError):
    """A question that has no answer. Its texts are public and repeat nothing of the question.

    `category` is one of `bad_parameter`, `too_many_points`, `too_fine`, `unknown_metric` and
    `unknown_class`; `parameter` is the one to change, `expected` what it has to be.
    """

    def __init__(self, parameter: str, expected: str, category: str = "bad_parameter") -> None:
        self.parameter, self.expected, self.category = parameter, expected, category
        super().__init__(f"{parameter}: {expected}")


@dataclass(frozen=True)
class Period:
    """From `start_ms` up to, and not including, `end_ms` (Unix ms)."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return self.end_ms - self.start_ms


def period_of(from_text: str, to_text: str, now_ms: int) -> Period:
    """Return the period between two times as queries tell them. Raises QueryError."""
    start_ms, end_ms = (
        _moment_ms(name, text, now_ms) for name, text in (("from", from_text), ("to", to_text))
    )
    for name, at_ms in (("from", start_ms), ("to", end_ms)):
        if not 0 <= at_ms <= _LATEST_MS:
            raise QueryError(name, "expected a time of the years 1970 to 2999")
    if start_ms >= end_ms:
        raise QueryError("from", "expected a time before that of to")
    return Period(start_ms, end_ms)


def step_ms_of(text: str | None) -> int | None:
    """Return the step that `text` tells in milliseconds, None for `auto`. Raises QueryError."""
    if text is None or text.strip() == "auto":
        return None
    match = _STEP.fullmatch(text.strip())
    step_ms = int(match[1]) * _UNIT_MS[match[2] or "s"] if match else 0
    if not 0 < step_ms <= _LONGEST_STEP_MS:
        raise QueryError("step", f"expected {_STEP_EXPECTED}, at most 366d")
    return step_ms


def _moment_ms(name: str, text: str, now_ms: int) -> int:
    try:
        return query_time_ms(text, now_ms)
    except ValueError as error:
        raise QueryError(name, str(error)) from None
