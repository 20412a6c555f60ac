"""Numbers and times as people read them; what is not known is a dash, never a zero."""

from datetime import datetime
from typing import Any, TypeGuard

from flask import Flask
from markupsafe import Markup, escape

from store.reasons import REASONS
from store.times import iso_utc, moment, parse_iso_ms

UNKNOWN = "—"
_MS_PER_S = 1000
_TEN, _HUNDRED = 10, 100


def register(app: Flask) -> None:
    """Make the functions of this module filters of `app`'s templates."""
    for function in (
        count,
        milliseconds,
        in_unit,
        exact_duration,
        percent,
        seconds,
        duration,
        clock,
        date_and_clock,
        reason_words,
        label,
        breakable,
        breakable_route,
        age_words,
        in_words,
        share,
        iso_utc,
    ):
        app.add_template_filter(function)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Say whether a value of a document is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def count(value: Any) -> str:
    """Return a count with its thousands apart: `69,930`; fractions keep two digits."""
    if not is_number(value):
        return UNKNOWN
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _three_digits(value: float) -> str:
    """Return about three significant digits; no decimals from 100 on, or for whole tens."""
    if abs(value) >= _HUNDRED or (abs(value) >= _TEN and value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TEN else f"{value:.2f}"


def milliseconds(value: Any) -> str:
    """Return a duration in milliseconds with its unit."""
    return f"{_three_digits(value)} ms" if is_number(value) else UNKNOWN


def in_unit(value_ms: Any, ceiling_ms: Any) -> str:
    """Return a duration given in ms in the unit of its ceiling: seconds from 10 s on.

    What would hardly differ from nothing in milliseconds is in microseconds.
    """
    if is_number(value_ms) and is_number(ceiling_ms) and ceiling_ms >= _TEN * _MS_PER_S:
        return f"{_three_digits(value_ms / _MS_PER_S)} s"
    if is_number(value_ms) and 0 < value_ms < 1 / _TEN:
        return f"{_three_digits(value_ms * _MS_PER_S)} µs"
    return milliseconds(value_ms)


def exact_duration(value_ms: Any) -> str:
    """Return a bound in ms with all of its four digits: `133.4 µs`, `5.623 ms`, `1,334 s`."""
    if not is_number(value_ms):
        return UNKNOWN
    if value_ms >= _MS_PER_S:
        return f"{value_ms / _MS_PER_S:,.4g} s"
    return f"{value_ms:.4g} ms" if value_ms >= 1 else f"{value_ms * _MS_PER_S:.4g} µs"


def percent(ratio: Any) -> str:
    """Return a ratio as a percentage with two digits: `4.21 %`."""
    return f"{ratio * 100:.2f} %" if is_number(ratio) else UNKNOWN


def seconds(value: Any) -> str:
    """Return a number of seconds with its unit: `28.7 s`."""
    return f"{_three_digits(value)} s" if is_number(value) else UNKNOWN


def duration(value_s: Any) -> str:
    """Return seconds in the two largest units: `3 min 32 s`, `2 h 5 min`, `4 d 3 h`."""
    if not is_number(value_s):
        return UNKNOWN
    rest = round(value_s)
    parts: list[str] = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        amount, rest = divmod(rest, size)
        if amount or (unit == "s" and not parts):
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def _moment(value: Any) -> datetime | None:
    return moment(parse_iso_ms(value)) if isinstance(value, str) else None


def in_words(value: Any, how: str, ceiling_ms: Any = None) -> str:
    """Return a number as the page writes numbers of its kind.

    `how` is one of count, unit, percent, seconds, duration and rank; `unit` is a duration in ms,
    in the unit of `ceiling_ms`. Roll-ups have whole numbers as floats: they are whole here.
    """
    if not is_number(value):
        return UNKNOWN
    if how == "count":
        return count(int(value) if value == int(value) else value)
    if how == "unit":
        return in_unit(value, ceiling_ms)
    if how == "rank":
        return f"{value:.1f}"
    return {"percent": percent, "seconds": seconds, "duration": duration}[how](value)


def share(part: float, whole: float) -> str:
    """Return what share of `whole` a part is: `99.98 %`; whole is only what is whole, 0 nothing."""
    hundredths = int(10_000 * part / whole)
    if part == whole or hundredths == 0:
        return "100 %" if part == whole else "0 %" if part == 0 else "under 0.01 %"
    return f"{hundredths / 100:.2f} %"


def clock(value: Any) -> str:
    """Return the time of day of an ISO 8601 text: `10:13:30 UTC`."""
    at = _moment(value)
    return at.strftime("%H:%M:%S UTC") if at else UNKNOWN


def date_and_clock(value: Any) -> str:
    """Return an ISO 8601 text for people: `2026-11-20 10:13:30 UTC`."""
    at = _moment(value)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else UNKNOWN


def reason_words(value: Any) -> str:
    """Return what a reason of the closed list means to a visitor."""
    return REASONS.get(value, "unknown reason") if isinstance(value, str) else ""


def label(key: str) -> str:
    """Return a counter's name from the configuration as a label: `Tips confirmed`."""
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]


def breakable(name: str) -> Markup:
    """Return a name that may be broken after its prefix, and nowhere else: `thumb-ab:…`."""
    prefix, colon, rest = name.rpartition(":")
    return escape(prefix + colon) + Markup("<wbr>") + escape(rest)


def breakable_route(route: str) -> Markup:
    """Return a route that may be broken before its slashes."""
    return Markup("<wbr>/").join(route.split("/"))


def age_words(value: Any, now_ms: int) -> str:
    """Return how long before `now_ms` (Unix ms) an ISO 8601 text was: `12 s`."""
    return duration(max(0, now_ms - parse_iso_ms(value)) // 1000) if value else UNKNOWN
