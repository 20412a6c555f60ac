"""What is said of the lines on a page, and where their data are."""

from dataclasses import dataclass

from store.times import iso_utc, plain_utc
from web.day_columns import is_percentile
from web.formatting import duration
from web.retrospect import Retrospect


@dataclass(frozen=True)
class LineTexts:
    """The query of the lines' time, that time in words, and how to read the lines."""

    query: str
    words: str
    percentile_words: str
    key: str

    def words_of(self, path: str) -> str:
        """Return what the line of the number at `path` shows, in words."""
        return self.percentile_words if is_percentile(path) else self.words


def line_texts(retrospect: Retrospect, *, is_past: bool) -> LineTexts | None:
    """Return the texts of a page's lines, None when there are no lines."""
    day = retrospect.day
    if day is None or not day.lines:
        return None
    if day.step_ms is None or day.percentiles_step_ms is None:
        since = f"since {plain_utc(day.start_ms)}, when the record begins"
        return LineTexts(
            f"from={iso_utc(day.start_ms)}",
            since,
            since,
            f"Beside a number, a line is what it was {since}. {_SCALE}",
        )
    words = "the 24 h before" if is_past else "the last 24 h"
    step, percentiles_step = (duration(ms / 1000) for ms in (day.step_ms, day.percentiles_step_ms))
    key = (
        f"Beside a number, a line is {words}, a point for every {step}: the mean, in a band of all "
        f"values. For a percentile it is that of all requests of every {percentiles_step}. {_SCALE}"
    )
    query = f"from={iso_utc(day.start_ms)}&to={iso_utc(day.end_ms)}" if is_past else "from=-24h"
    return LineTexts(query, words, f"{words}, of every {percentiles_step}", key)


_SCALE = (
    "It reaches from the lowest value, written below, to the highest, written above; where nothing "
    "was recorded it has a gap."
)
