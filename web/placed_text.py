"""The texts of a figure, placed so that none covers another.

All places are percentages of the figure's width. How much of it a text takes is reckoned for the
narrowest figure, on a screen of 320 pixels.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

_END: Final = 100.0
_LETTER: Final = 2.8
_SPACE: Final = 2.5
#: So near to an end a text begins or ends there.
_NEAR_AN_END: Final = 8.0


@dataclass(frozen=True)
class PlacedText:
    """A text at `x`, where it begins, ends or has its middle, as `anchor` says in SVG's words."""

    x: float
    text: str
    anchor: str

    @classmethod
    def at(cls, x: float, text: str) -> "PlacedText":
        """Return `text` around `x`, or beside it at an end of the figure."""
        if x < _NEAR_AN_END:
            return cls(x, text, "start")
        return cls(x, text, "end" if x > _END - _NEAR_AN_END else "middle")

    @classmethod
    def between(cls, places: Iterable[float], text: str) -> "PlacedText":
        """Return `text` where there is most room beside `places`."""
        taken = sorted(places)
        gaps = list(pairwise([0.0, *taken, _END]))
        widest = max(range(len(gaps)), key=lambda number: gaps[number][1] - gaps[number][0])
        left, right = gaps[widest]
        if widest == 0:
            return cls(left, text, "start")
        if widest == len(gaps) - 1:
            return cls(right, text, "end")
        return cls((left + right) / 2, text, "middle")

    @property
    def extent(self) -> tuple[float, float]:
        """Where it begins and ends."""
        width = _LETTER * len(self.text)
        start = self.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * width
        return start, start + width

    def covers(self, other: "PlacedText") -> bool:
        """Say whether the two would touch."""
        (start, end), (others_start, others_end) = self.extent, other.extent
        return start < others_end + _SPACE and others_start < end + _SPACE


@dataclass(frozen=True)
class Label:
    """The name of the line at `x`, with its middle at `text_x`."""

    name: str
    x: float
    text_x: float


def placed_labels(places: Mapping[str, float]) -> list[Label]:
    """Return a label for each name of a line at that place, from left to right.

    Labels that would touch move apart, and none leaves the figure.
    """
    names = sorted(places, key=lambda name: places[name])
    widths = [_LETTER * len(name) + _SPACE for name in names]
    offsets = list(accumulate(widths, initial=0.0))
    # With all that is left of it taken off, each label is a point that must not stand before the
    # one of its left neighbour. The mean of pushing rightward and of pushing leftward is fair.
    points = [
        places[name] - offset - width / 2
        for name, offset, width in zip(names, offsets, widths, strict=False)
    ]
    rightward = accumulate(points, max)
    leftward = reversed(list(accumulate(reversed(points), min)))
    room = _END - offsets[-1]
    return [
        Label(name, places[name], min(max((one + other) / 2, 0.0), room) + offset + width / 2)
        for name, one, other, offset, width in zip(
            names, rightward, leftward, offsets, widths, strict=False
        )
    ]
