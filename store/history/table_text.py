"""Series as tables in a terminal, each under a sparkline and what it stands on."""

import textwrap
from collections.abc import Iterator
from itertools import groupby

from store.history.answers import Answer, Series
from store.history.plain_text import number_text, printable, share_text, step_text
from store.history.sparkline import ASCII, BLOCKS, sparkline
from store.times import DAY_MS, MINUTE_MS, moment, plain_utc

_COLUMNS = {
    "values": ("min", "mean", "max", "last", "snapshots"),
    "percentile": ("value", "count", "errors"),
}
#: Where a column's name is not what a reader looks for.
_HEADINGS = {"value": "ms", "count": "requests"}
#: The column that is drawn.
_DRAWN = {"values": "mean", "percentile": "value"}
#: What is left out first where a terminal is narrow.
_DISPENSABLE = ("last", "errors", "min")
_SPACE = "  "


def table_lines(answer: Answer, width: int, encoding: str) -> Iterator[str]:
    """Yield the lines of `answer` for a terminal of `width` columns that writes `encoding`.

    Steps without data are told as gaps. Where `encoding` has no blocks, the bars are ASCII.
    """
    try:
        BLOCKS.encode(encoding)
        bars = BLOCKS
    except UnicodeEncodeError:
        bars = ASCII
    for number, series in enumerate(answer.series):
        if number:
            yield ""
        yield printable(series.metric, encoding)
        for line in _standing(answer, series):
            yield from textwrap.wrap(line, width)
        yield _line_of_bars(series, width, bars)
        yield ""
        yield from _table(answer, series, width)


def _standing(answer: Answer, series: Series) -> Iterator[str]:
    start, end = plain_utc(answer.period.start_ms), plain_utc(answer.period.end_ms)
    yield f"{start} to {end}, in steps of {step_text(answer.step_ms)}"
    *others, last = series.tiers or ("nothing",)
    tiers = f"{', '.join(others)} and {last}" if others else last
    yield f"known of {share_text(series.coverage)} of that time; read from {tiers}"


def _line_of_bars(series: Series, width: int, bars: str) -> str:
    name = _DRAWN[series.kind]
    values = series.columns[name]
    known = [value for value in values if value is not None]
    if not known:
        return "nothing to draw"
    scale = f"{_HEADINGS.get(name, name)} {number_text(min(known))} to {number_text(max(known))}"
    return f"{sparkline(values, max(1, width - len(_SPACE) - len(scale)), bars)}{_SPACE}{scale}"


def _table(answer: Answer, series: Series, width: int) -> Iterator[str]:
    times = [_time_text(at_ms, answer.step_ms) for at_ms in answer.times_ms]
    columns = {
        name: [_HEADINGS.get(name, name), *map(number_text, series.columns[name])]
        for name in _COLUMNS[series.kind]
    }
    widths = {name: max(map(len, cells)) for name, cells in columns.items()}
    for name in _DISPENSABLE:
        if len(times[0]) + sum(len(_SPACE) + wide for wide in widths.values()) > width:
            widths.pop(name, None)

    def line(first: str, row: int) -> str:
        cells = (columns[name][row].rjust(wide) for name, wide in widths.items())
        return _SPACE.join((first.ljust(len(times[0])), *cells))

    yield line("time (UTC)", 0)
    states = [_absence(series, row) for row in range(len(times))]
    for state, steps in groupby(range(len(times)), key=states.__getitem__):
        rows = list(steps)
        if state is None:
            yield from (line(times[row], row + 1) for row in rows)
        else:
            many = f", {len(rows)} steps" if len(rows) > 1 else ""
            yield f"{times[rows[0]]}{_SPACE}{state}{many}"


def _absence(series: Series, row: int) -> str | None:
    """Return what is told instead of a row's numbers, None where there are some."""
    if series.columns[_DRAWN[series.kind]][row] is not None:
        return None
    is_idle = series.kind == "percentile" and series.columns["count"][row] == 0
    return "no requests" if is_idle else "no data"


def _time_text(at_ms: int, step_ms: int) -> str:
    form = "%Y-%m-%d" if step_ms % DAY_MS == 0 else "%Y-%m-%d %H:%M"
    return moment(at_ms).strftime(form if step_ms % MINUTE_MS == 0 else f"{form}:%S")
