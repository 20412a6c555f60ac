"""Series as CSV: a row for each step of each series, as the web and the command line give it."""

import csv
import io
from typing import Any

from store.history.series import Answer
from store.times import iso_utc

#: What a kind of series does not have is empty in its rows, and so is what is not known.
COLUMNS = ("mean", "min", "max", "last", "snapshots", "value", "count", "errors")


def csv_text(answer: Answer) -> str:
    """Return the series of `answer` one after the other (RFC 4180, with a line of headings)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("time", "metric", *COLUMNS))
    times = [iso_utc(at_ms) for at_ms in answer.times_ms]
    for series in answer.series:
        nothing: list[Any] = [None] * len(times)
        columns = [series.columns.get(name, nothing) for name in COLUMNS]
        for at, *values in zip(times, *columns, strict=True):
            writer.writerow((at, series.metric, *map(_number, values)))
    return out.getvalue()


def _number(value: float | None) -> float | None:
    """Return a whole number without its `.0`, which some programs take for a measurement's."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if value is not None and is_whole else value
