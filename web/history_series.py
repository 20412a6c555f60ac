"""The routes of series: `/api/engineering/history`, and the metrics that there are."""

from flask import Blueprint, Response, request

from store.history.answer_document import answer_document
from store.history.asking import step_ms_of
from store.history.csv_text import csv_text
from store.history.metrics import known_classes
from store.history.series import ask, known_metrics
from web.history_answers import cache_control, file_answer, json_answer, present_ms
from web.history_parameters import Parameters, bad_parameter
from web.history_reading import the_history

blueprint = Blueprint("history_series", __name__)

_CSV = "text/csv; charset=utf-8; header=present"
_MOST_METRICS = 50
#: In how many ways stars can match grows with each of them.
_MOST_STARS = 3


@blueprint.get("/api/engineering/history")
def history() -> Response:
    """Return what some metrics were, step by step, as JSON or CSV."""
    told = Parameters(request, ("from", "to", "step", "format"), several=("metric",))
    metrics, form = told.several("metric", _MOST_METRICS), told.choice("format", ("json", "csv"))
    if any(metric.count("*") > _MOST_STARS for metric in metrics):
        raise bad_parameter("metric", f"expected at most {_MOST_STARS} *")
    now_ms, past = present_ms(), the_history()
    period = told.period("-24h", now_ms)
    with past.reading() as connection:
        step_ms = step_ms_of(told.text("step", "auto"))
        answer = ask(connection, past.source, metrics, period, step_ms, now_ms)
    is_absolute = told.are_absolute("from", "to")
    keeping = cache_control(now_ms, answer.period.end_ms, is_absolute=is_absolute)
    if form == "csv":
        return file_answer(csv_text(answer), _CSV, f"{past.source}-history.csv", keeping)
    return json_answer(answer_document(past.source, answer), keeping)


@blueprint.get("/api/engineering/metrics")
def metrics() -> Response:
    """Return the paths that a history can be asked for, and the latency classes."""
    Parameters(request, ())
    past = the_history()
    with past.reading() as connection:
        body = {
            "source": past.source,
            "metrics": known_metrics(connection, past.source),
            "classes": known_classes(connection, past.source),
        }
    now_ms = present_ms()
    return json_answer(body, cache_control(now_ms, now_ms, is_absolute=False))
