"""The table that a run prints: a row a figure, with its peer or its bound."""

from collections.abc import Sequence
from dataclasses import dataclass

_HEADINGS = ("figure", "ours", "peer", "ratio", "bound", "", "how it was found")


@dataclass(frozen=True)
class Row:
    """A figure: what was measured, what it stands against, and whether its bound is met.

    `is_met` is None for a figure without a bound.
    """

    figure: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    bound: str = ""
    is_met: bool | None = None
    detail: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts in the order of the headings."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {None: "", True: "met", False: "MISSED"}[self.is_met]
        return self.figure, self.ours, self.peer, ratio, self.bound, verdict, self.detail


def formatted(rows: Sequence[Row]) -> str:
    """Return the rows under their headings, in columns."""
    lines = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (_HEADINGS, rule, *lines[1:])
    )
