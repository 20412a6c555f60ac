"""A node's days as a bar: a cell a day of UTC, told by its shape, its title and the bar's words.

A cell is filled as high as the day was observed. What was up is solid, what was down is striped on
top of it; a day that nobody observed is a dot. So no colour is needed to tell them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from markupsafe import Markup

from store.history.uptime import Uptime
from store.times import moment
from web.formatting import duration, share

#: Of a cell, in pixels.
HEIGHT: Final = 28
_WIDTH: Final = 8
_PITCH: Final = 10
#: What there was of something is not invisible.
_LEAST: Final = 3
_STRIPE: Final = 2
#: So many days that were not up are named in the bar's words.
_MOST_NAMED: Final = 8


@dataclass(frozen=True)
class StatusBar:
    """The days from `first` to `last` (dates): drawn, `width` pixels wide, and in words."""

    first: str
    last: str
    width: int
    drawn: Markup
    words: str


def status_bar(days: Sequence[Uptime]) -> StatusBar:
    """Return the bar of `days`, at least one, in order of time."""
    first, last = (_date(day) for day in (days[0], days[-1]))
    drawn = "".join(
        _unseen([number for number, _ in some], days)
        if state == "not observed"
        else "".join(_cell(number, day) for number, day in some)
        for state, group in groupby(enumerate(days), key=lambda one: state_of(one[1]))
        for some in [list(group)]
    )
    return StatusBar(
        first,
        last,
        _PITCH * len(days) - (_PITCH - _WIDTH),
        Markup(drawn),  # noqa: S704 - nothing in it is anybody's text
        _words(days),
    )


def state_of(day: Uptime) -> str:
    """Return what the day was: up, partly down, down, or not observed."""
    if not day.up_ms and not day.down_ms:
        return "not observed"
    return "up" if not day.down_ms else "partly down" if day.up_ms else "down"


def _cell(number: int, day: Uptime) -> str:
    x = _PITCH * number
    striped = min(_pixels(day.down_ms, day), HEIGHT - (_LEAST if day.up_ms else 0))
    solid = min(_pixels(day.up_ms, day), HEIGHT - striped)
    up = f'<path d="M{x} {HEIGHT - solid}h{_WIDTH}v{solid}h-{_WIDTH}z"/>' if solid else ""
    down = f'<path class="down" d="{_stripes(x, solid, striped)}"/>' if striped else ""
    return f"<g><title>{_title(day)}</title>{up}{down}</g>"


def _unseen(numbers: Sequence[int], days: Sequence[Uptime]) -> str:
    """Return the dots of days beside each other that nobody observed, under one title."""
    first, last = _date(days[numbers[0]]), _date(days[numbers[-1]])
    dates = first if first == last else f"{first} to {last}"
    y = HEIGHT - _LEAST
    dots = "".join(f"M{_PITCH * number + _WIDTH // 2 - 1} {y}h2v2h-2z" for number in numbers)
    return f'<path class="dot" d="{dots}"><title>{dates}: not observed</title></path>'


def _pixels(part_ms: int, day: Uptime) -> int:
    return max(_LEAST, round(HEIGHT * part_ms / day.period.length_ms)) if part_ms else 0


def _stripes(x: int, solid: int, height: int) -> str:
    """Return stripes over a height that begins above what is solid, as thick as far apart."""
    bottom = HEIGHT - solid
    return "".join(
        f"M{x} {y}h{_WIDTH}v{min(_STRIPE, bottom - y)}h-{_WIDTH}z"
        for y in range(bottom - height, bottom, 2 * _STRIPE)
    )


def _title(day: Uptime) -> str:
    took = f" {duration(day.down_ms / 1000)}" if day.down_ms else ""
    observed = share(day.up_ms + day.down_ms, day.period.length_ms)
    return f"{_date(day)}: {state_of(day)}{took}, {observed} observed"


def _date(day: Uptime) -> str:
    return moment(day.period.start_ms).strftime("%Y-%m-%d")


def _words(days: Sequence[Uptime]) -> str:
    """Return how many days were what, and which ones were not up, the latest first."""
    states = [state_of(day) for day in days]
    counted = ", ".join(
        f"{state} {states.count(state)} {'day' if states.count(state) == 1 else 'days'}"
        for state in ("up", "partly down", "down", "not observed")
        if state in states
    )
    down = [_title(day) for day in reversed(days) if day.down_ms]
    more = f"; and {len(down) - _MOST_NAMED} more" if len(down) > _MOST_NAMED else ""
    told = f" {'; '.join(down[:_MOST_NAMED])}{more}." if down else ""
    return f"{_date(days[0])} to {_date(days[-1])}: {counted}.{told}"
