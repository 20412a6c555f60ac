"""Times in queries: ISO 8601, epoch seconds, or relative to the present."""

import re
from decimal import Decimal

from store.times import parse_iso_ms

EXPECTED = "ISO 8601, epoch seconds, now, or relative such as -90s, -15m, -6h, -7d"

_RELATIVE = re.compile(r"-(\d{1,9})(s|m|h|d|w)")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_EPOCH_SECONDS = re.compile(r"\d{1,12}(\.\d{1,9})?")
#: The last moment that a date can have, 9999-12-31T23:59:59.999Z.
_LATEST_MS = 253_402_300_799_999
#: A "+" of an offset that was not percent-encoded arrives as a space.
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d(?::?\d\d)?)")


def query_time_ms(text: str, now_ms: int) -> int:
    """Return the moment that `text` names, in Unix milliseconds; without an offset it is UTC.

    Raises ValueError, whose text says what was expected, for anything else.
    """
    moment_ms = _moment_ms(text.strip(), now_ms)
    if moment_ms is None or moment_ms > _LATEST_MS:
        msg = f"expected {EXPECTED}"
        raise ValueError(msg)
    return moment_ms


def is_relative(text: str) -> bool:
    """Say whether `text` means another moment each time it is asked."""
    return text.strip() == "now" or _RELATIVE.fullmatch(text.strip()) is not None


def _moment_ms(text: str, now_ms: int) -> int | None:
    if text == "now":
        return now_ms
    if match := _RELATIVE.fullmatch(text):
        return max(0, now_ms - int(match[1]) * _UNIT_MS[match[2]])
    if _EPOCH_SECONDS.fullmatch(text):
        return int(Decimal(text) * 1000)
    try:
        return parse_iso_ms(_LOST_PLUS.sub(r"\1+\2", text))
    except ValueError:
        return None
