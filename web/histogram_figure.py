"""The distribution of a latency window as a drawing: bars on a logarithmic axis, and its words.

All places and sizes are percentages of the drawing, so that it fits any width and its texts keep
their size. The server draws it; the page only says which class has which colour.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeGuard

from flask import Flask

from web.formatting import count, exact_duration, in_unit, is_number
from web.log_axis import LogAxis
from web.placed_text import Label, PlacedText, placed_labels

#: A bar of one request is seen beside one of ten thousand: more than a pixel.
_LEAST_HEIGHT: Final = 1.5
_GAP: Final = 0.07
_PERCENTILES: Final = ("p50", "p95", "p99")
_CEILING: Final = "ceiling"


@dataclass(frozen=True)
class Bar:
    """A bin with its bounds in ms; one without requests has no height and is not drawn."""

    from_ms: float
    to_ms: float
    count: int
    is_over_ceiling: bool
    x: float
    y: float
    width: float
    height: float

    @property
    def bounds(self) -> str:
        """Its bounds for people, exact: `5.623 ms to 7.499 ms`."""
        return f"{exact_duration(self.from_ms)} to {exact_duration(self.to_ms)}"


@dataclass(frozen=True)
class HistogramFigure:
    """What the template draws; `words` say it to those who do not see it.

    `most` is the count of the fullest bar, written over the plot.
    """

    bars: list[Bar]
    ticks: list[PlacedText]
    labels: list[Label]
    most: PlacedText
    words: str


def register(app: Flask) -> None:
    """Make `histogram_figure` a filter of `app`'s templates."""
    app.add_template_filter(histogram_figure)


def histogram_figure(values: Any) -> HistogramFigure | None:
    """Return the figure of a latency class's values; None when no distribution is known."""
    bins = _bins(values.get("distribution") if isinstance(values, dict) else None)
    if bins is None:
        return None
    axis = LogAxis.over(bins[0][0], bins[-1][1])
    ceiling_ms = values.get("ceiling_ms")
    bars = _bars(bins, axis, ceiling_ms)
    labels = placed_labels(
        {
            name: axis.place(ms)
            for name, ms in _marks(values).items()
            if name != _CEILING or ms in axis
        }
    )
    fullest = max(bars, key=lambda bar: bar.count)
    most = f"{count(fullest.count)} request{'' if fullest.count == 1 else 's'}"
    return HistogramFigure(
        bars,
        axis.ticks(),
        labels,
        PlacedText.between([label.x for label in labels], most),
        _words(values, bars, fullest),
    )


def _bins(distribution: Any) -> list[tuple[float, float, int]] | None:
    """Return the bins as bounds and count, None when it is not what a distribution has to be."""
    if not isinstance(distribution, dict):
        return None
    bounds_ms, counts = distribution.get("bounds_ms"), distribution.get("counts")
    if not _are_bounds(bounds_ms) or not _are_counts(counts) or len(bounds_ms) != len(counts) + 1:
        return None
    return [(*bounds, number) for bounds, number in zip(pairwise(bounds_ms), counts, strict=True)]


def _are_bounds(told: Any) -> TypeGuard[list[float]]:
    is_list_of_numbers = isinstance(told, list) and all(map(is_number, told))
    return is_list_of_numbers and all(0 < low < high for low, high in pairwise(told))


def _are_counts(told: Any) -> TypeGuard[list[int]]:
    is_list_of_counts = isinstance(told, list) and all(
        type(one) is int and one >= 0 for one in told
    )
    return is_list_of_counts and sum(told) > 0


def _bars(bins: list[tuple[float, float, int]], axis: LogAxis, ceiling_ms: Any) -> list[Bar]:
    highest = max(number for _, _, number in bins)
    bars = []
    for from_ms, to_ms, number in bins:
        left, right = axis.place(from_ms), axis.place(to_ms)
        gap = _GAP * (right - left)
        height = 100 * number / highest
        height = max(height, _LEAST_HEIGHT) if number else 0.0
        is_over = is_number(ceiling_ms) and from_ms >= ceiling_ms
        place = (left + gap, 100 - height, right - left - 2 * gap, height)
        bars.append(Bar(from_ms, to_ms, number, is_over, *place))
    return bars


def _marks(values: dict[str, Any]) -> dict[str, float]:
    """Return the durations that are marked, in ms, by their names."""
    known = {name: values.get(name) for name in _PERCENTILES} | {_CEILING: values.get("ceiling_ms")}
    return {name: ms for name, ms in known.items() if is_number(ms) and ms > 0}


def _words(values: Any, bars: list[Bar], fullest: Bar) -> str:
    """Return what the figure shows in two sentences, for those who do not see it."""
    total = sum(bar.count for bar in bars)
    shown = f"{exact_duration(bars[0].from_ms)} to {exact_duration(bars[-1].to_ms)}"
    percentiles = ", ".join(
        f"{name} {in_unit(values[name], values.get('ceiling_ms'))}"
        for name in _PERCENTILES
        if is_number(values.get(name))
    )
    return (
        f"Histogram of {count(total)} requests by duration on a logarithmic scale, {shown}"
        f"{f'; {percentiles}' if percentiles else ''}. The fullest bar, {fullest.bounds}, "
        f"has {count(fullest.count)} of them, {100 * fullest.count / total:.3g} %."
    )
