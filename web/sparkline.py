"""A number's course as a line so small that it stands beside the number.

A point every column, places in whole pixels, the lowest value at the bottom and the highest at the
top. Where nothing is known there is a gap; the line never runs through it. Behind the line is the
band of what the values of each column were, where that is more than the line itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, NamedTuple

from markupsafe import Markup

#: Of the drawing, in pixels. Above and below is room for half a stroke.
HEIGHT: Final = 24
_TOP: Final = 2
_BOTTOM: Final = 22
_MIDDLE: Final = 12
#: Less than that is no difference between any two measurements.
_LEAST_SPAN: Final = 1e-300


class Point(NamedTuple):
    """What a number was in a column's time: where the line goes, and what was around it."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Sparkline:
    """The line and the band as data of SVG paths, `band` "" where there is none to see.

    `width` is in columns; the drawing can be stretched to any size. `lowest` and `highest` are of
    all values, not of the columns' means. `svg` is all of it as an element.
    """

    width: int
    line: str
    band: str
    lowest: float
    highest: float

    @cached_property
    def svg(self) -> Markup:
        """The drawing as an element; its words are beside it."""
        band = f'<path class="band" d="{self.band}"/>' if self.band else ""
        return Markup(  # noqa: S704 - nothing in it is anybody's text
            f'<svg viewBox="0 0 {self.width} {HEIGHT}" preserveAspectRatio="none"'
            f' aria-hidden="true">{band}<path d="{self.line}"/></svg>'
        )

    @classmethod
    def of(cls, points: Sequence[Point | None]) -> "Sparkline | None":
        """Return the line through `points`, None for a gap; None when there are less than two."""
        known = [point for point in points if point is not None]
        if len(known) < 2:  # noqa: PLR2004 - a line has two ends
            return None
        lowest, highest = min(p.low for p in known), max(p.high for p in known)
        span = highest - lowest
        # What never changes is in the middle.
        floor, per = (_BOTTOM, (_BOTTOM - _TOP) / span) if span > _LEAST_SPAN else (_MIDDLE, 0.0)
        line = band = ""
        for start, run in _runs(points):
            line += _line(start, [floor - round((p.value - lowest) * per) for p in run])
            tops = [floor - round((p.high - lowest) * per) for p in run]
            band += _band(start, tops, [floor - round((p.low - lowest) * per) for p in run])
        return cls(len(points) - 1, line, band, lowest, highest)


def _runs(points: Sequence[Point | None]) -> Iterator[tuple[int, list[Point]]]:
    """Yield the first column and the points of each part without a gap."""
    run: list[Point] = []
    for column, point in enumerate(points):
        if point is not None:
            run.append(point)
        elif run:
            yield column - len(run), run
            run = []
    if run:
        yield len(points) - len(run), run


def _line(start: int, places: list[int]) -> str:
    """Return the path through `places`; one alone is a dot."""
    return f"M{start} {places[0]}{_steps(places, 1) or 'h0'}"


def _band(start: int, tops: list[int], bottoms: list[int]) -> str:
    """Return the path around the highest and the lowest places, "" when it would hide in the line.

    It is drawn where it is more than a line's thickness somewhere.
    """
    if all(bottom - top <= 1 for top, bottom in zip(tops, bottoms, strict=True)):
        return ""
    across = bottoms[-1] - tops[-1]
    return f"M{start} {tops[0]}{_steps(tops, 1)}v{across}{_steps(bottoms[::-1], -1)}z"


def _steps(places: list[int], dx: int) -> str:
    """Return the steps from the first of `places` to the last, level ones taken together."""
    told = ""
    level = 0
    for before, after in pairwise(places):
        if after == before:
            level += dx
            continue
        if level:
            told += f"h{level}"
        is_first = level != 0 or not told
        # A sign parts two numbers as a space does.
        told += f"{'l' if is_first else ' ' if dx > 0 else ''}{dx}{after - before:+d}"
        level = 0
    return f"{told}h{level}" if level else told
