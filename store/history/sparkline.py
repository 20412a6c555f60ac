"""A row of small bars: the course of a number in the width of a terminal."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
#: For terminals that cannot show blocks: from low to high.
ASCII = "_.-:=+*#"


def sparkline(values: Sequence[float | None], width: int, bars: str = BLOCKS) -> str:
    """Return `values` as at most `width` of `bars`, from the lowest to the highest value.

    More values than that share cells of equal length, in which the highest stands for all: what
    stuck out is seen. A cell without any value is a space. All the same value: the lowest bar.
    """
    known = [value for value in values if value is not None]
    if not known:
        return " " * min(width, len(values))
    lowest, highest = min(known), max(known)
    cells = (_highest(values, cell, width) for cell in range(min(width, len(values))))
    return "".join(_bar(value, lowest, highest, bars) for value in cells)


def _highest(values: Sequence[float | None], cell: int, width: int) -> float | None:
    cells = min(width, len(values))
    begin, end = cell * len(values) // cells, (cell + 1) * len(values) // cells
    return max((value for value in values[begin:end] if value is not None), default=None)


def _bar(value: float | None, lowest: float, highest: float, bars: str) -> str:
    if value is None:
        return " "
    if lowest == highest:
        return bars[0]
    # Halved, for the difference of two large numbers can be none.
    share = (value / 2 - lowest / 2) / (highest / 2 - lowest / 2)
    return bars[min(len(bars) - 1, int(share * len(bars)))]
