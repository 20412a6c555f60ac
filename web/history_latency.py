"""The route of a class's latency in a period: exact percentiles, or the whole distribution."""

from flask import Blueprint, Response, request

from store.histograms import LatencyHistogram
from store.history.hdr_text import hgrm, hlog
from store.history.latency_lines import log_lines
from store.history.period_latency import PeriodLatency, latency_of
from store.intervals import LatencyInterval
from store.times import iso_utc, moment
from web.history_answers import cache_control, file_answer, json_answer, present_ms
from web.history_parameters import Parameters
from web.history_reading import the_history

blueprint = Blueprint("history_latency", __name__)

_TEXT = "text/plain; charset=utf-8"
_PERCENTILES = {"p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9}
_US_PER_MS = 1000


@blueprint.get("/api/engineering/latency")
def latency() -> Response:
    """Return how long the requests of a class took: JSON, `.hgrm` or `.hlog`."""
    told = Parameters(request, ("class", "from", "to", "format"))
    form = told.choice("format", ("json", "hgrm", "hlog"))
    class_key = told.required("class")
    now_ms, past = present_ms(), the_history()
    asked = told.period("-24h", now_ms)
    with past.reading() as connection:
        found = latency_of(connection, past.source, class_key, asked, now_ms)
        if form == "hlog":
            lines = list(log_lines(connection, past.source, class_key, found.period))
    is_absolute = told.are_absolute("from", "to")
    keeping = cache_control(now_ms, found.period.end_ms, is_absolute=is_absolute)
    if form == "json":
        return json_answer(_body(past.source, found), keeping)
    comments = _comments(past.source, found)
    name = f"{past.source}-{class_key}-{_stamp(found.period.start_ms)}.{form}"
    if form == "hgrm":
        text = hgrm(_histogram(found), [*comments, "Values in milliseconds"])
    else:
        unit = "Histograms in microseconds, Interval_Max in milliseconds"
        text = hlog(lines, found.period.start_ms, [*comments, unit])
    return file_answer(text, _TEXT, name, keeping)


def _body(source: str, found: PeriodLatency) -> dict[str, object]:
    interval = found.interval or LatencyInterval()
    histogram = interval.histogram
    values_us = histogram.percentiles_us(_PERCENTILES.values())
    values_us += [histogram.min_us, histogram.max_us]
    return {
        "source": source,
        "class": found.class_key,
        "asked_from": iso_utc(found.asked.start_ms),
        "asked_to": iso_utc(found.asked.end_ms),
        "from": iso_utc(found.period.start_ms),
        "to": iso_utc(found.period.end_ms),
        **dict(zip((*_PERCENTILES, "min", "max"), map(_ms, values_us), strict=True)),
        **_counts(found),
        "coverage": found.coverage,
        "tiers": found.tiers,
        "oldest_at": _iso(interval.oldest_at_ms),
        "newest_at": _iso(interval.newest_at_ms),
    }


def _counts(found: PeriodLatency) -> dict[str, int | None]:
    """Return what was counted; where nobody counted that is not known."""
    interval = found.interval or LatencyInterval()
    histogram = interval.histogram
    counts = {
        "count": histogram.count,
        "errors": histogram.errors,
        "lost": interval.lost,
        "clamped": histogram.clamped,
        "unparsed": interval.unparsed,
        "log_lines": interval.log_lines,
    }
    return counts if found.interval else dict.fromkeys(counts)


def _comments(source: str, found: PeriodLatency) -> list[str]:
    counts, max_us = _counts(found), _histogram(found).max_us
    told = {name: "unknown" if count is None else count for name, count in counts.items()}
    highest = "none" if max_us is None else f"{_ms(max_us):.3f} ms"
    requests = f"requests {told['count']}, of them errors {told['errors']}, lost {told['lost']}"
    return [
        f"opsnap: source {source}, latency class {found.class_key}",
        f"From {iso_utc(found.period.start_ms)} to {iso_utc(found.period.end_ms)}",
        f"Observed {found.coverage:.4%}; {requests}, exact maximum {highest}",
    ]


def _histogram(found: PeriodLatency) -> LatencyHistogram:
    return found.interval.histogram if found.interval else LatencyHistogram()


def _ms(value_us: int | None) -> float | None:
    return None if value_us is None else value_us / _US_PER_MS


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_utc(at_ms)


def _stamp(at_ms: int) -> str:
    return moment(at_ms).strftime("%Y%m%dT%H%M%SZ")
