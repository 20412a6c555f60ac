"""`/api/engineering/history` and `/metrics`: series as JSON and CSV, and what is refused."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.documents import full_document, iso, store, this_tick_ms
from tests.support.short_record import INTERVAL_MS, STALE, ShortRecord, Taken
from tests.support.visitors import visitor_of

pytest_plugins = ("tests.support.short_record_plugin",)

MINUTE_MS = 60_000
#: From and to in hours after the begin, the step, its hours, and the tiers that it is read from.
QUESTIONS = [
    (10, 11.5, "10m", 1 / 6, ["5m"]),
    (11.5, 12, "100s", 1 / 36, ["snapshots"]),
    (11.5, 12.5, "15m", 1 / 4, ["5m", "snapshots"]),
    (7, 10, "30m", 1 / 2, ["5m"]),
    (0, 12, "2h", 2, ["1h"]),
    (-14, 34, "1d", 24, ["1d", "1h", "snapshots"]),
]

of_every_tier = pytest.mark.parametrize(
    ("begin", "end", "step", "step_hours", "tiers"), QUESTIONS, ids=[one[2] for one in QUESTIONS]
)


def steps(record: ShortRecord, begin: float, end: float, step_hours: float) -> list[list[Taken]]:
    """Return the snapshots of each step."""
    count = round((end - begin) / step_hours)
    return [
        record.within(begin + number * step_hours, begin + (number + 1) * step_hours)
        for number in range(count)
    ]


@of_every_tier
def test_a_number_is_told_step_by_step(
    record: ShortRecord, begin: float, end: float, step: str, step_hours: float, tiers: list[str]
) -> None:
    query = {"metric": "queue.queued", "step": step, "from": record.at(begin), "to": record.at(end)}
    told = record.get("history", **query)
    assert (told["ok"], told["source"]) == (True, "test")
    assert (told["from"], told["to"]) == (query["from"], query["to"])
    assert told["step_s"] == round(step_hours * 3600)
    parts = steps(record, begin, end, step_hours)
    assert told["times"] == [record.at(begin + n * step_hours) for n in range(len(parts))]
    (series,) = told["series"]
    assert (series["metric"], series["kind"]) == ("queue.queued", "values")
    assert series["tiers"] == tiers
    # What the queue's section carried while it was stale was measured before.
    measured = [[one.queued for one in part if not one.is_stale] for part in parts]
    for name, function in {"min": min, "max": max, "last": lambda values: values[-1]}.items():
        assert series[name] == [function(values) if values else None for values in measured], name
    assert series["mean"] == pytest.approx(
        [math.fsum(values) / len(values) if values else None for values in measured], abs=1e-12
    )
    assert series["snapshots"] == [len(values) for values in measured]


@of_every_tier
def test_a_percentile_is_that_of_all_requests_of_each_step(
    record: ShortRecord, begin: float, end: float, step: str, step_hours: float, tiers: list[str]
) -> None:
    query = {"step": step, "from": record.at(begin), "to": record.at(end)}
    metrics = {"latency.p50": 0.5, "latency.p99": 0.99, "latency.p99.9": 0.999, "latency.max": 1.0}
    told = record.get("history", metric=list(metrics), **query)
    parts = steps(record, begin, end, step_hours)
    durations_us = [[us for one in part for us in one.durations_us] for part in parts]
    for series, (metric, quantile) in zip(told["series"], metrics.items(), strict=True):
        assert (series["metric"], series["kind"]) == (metric, "percentile")
        assert series["count"] == [
            len(us) if part else None for us, part in zip(durations_us, parts, strict=True)
        ]
        assert series["errors"] == [
            sum(one.errors for one in part) if part else None for part in parts
        ]
        expected = [nearest_rank_ms(us, quantile) if us else None for us in durations_us]
        assert [value is None for value in series["value"]] == [one is None for one in expected]
        known = [value for value in series["value"] if value is not None]
        np.testing.assert_allclose(known, [one for one in expected if one is not None], rtol=0.001)


def nearest_rank_ms(durations_us: Sequence[int], quantile: float) -> float:
    return float(np.quantile(durations_us, quantile, method="inverted_cdf")) / 1000


def test_coverage_is_the_share_of_the_period_in_which_the_number_was_measured(
    record: ShortRecord,
) -> None:
    period = {"from": record.at(10), "to": record.at(12), "step": "100s"}
    told = record.get("history", metric=["state.videos", "queue.queued"], **period)
    # Of 72 snapshots 6 were not taken, and in 3 more the queue was not measured.
    videos, queued = (series["coverage"] for series in told["series"])
    assert videos == pytest.approx(66 / 72, abs=1e-6)
    assert queued == pytest.approx(63 / 72, abs=1e-6)
    assert len(STALE) == 3


def test_a_period_is_widened_to_whole_steps(record: ShortRecord) -> None:
    period = {"from": record.at(10.1), "to": record.at(11.01), "step": "30m"}
    told = record.get("history", metric="queue.queued", **period)
    assert (told["from"], told["to"]) == (record.at(10), record.at(11.5))


def test_a_star_stands_for_a_part_of_a_path_and_each_metric_is_told_once(
    record: ShortRecord,
) -> None:
    metrics = ["nodes.*.up", "queue.queued", "queue.queued", "nodes.node-1.up"]
    period = {"from": record.at(11), "to": record.at(12), "step": "1h"}
    told = record.get("history", metric=metrics, **period)
    assert [(series["metric"], series["mean"]) for series in told["series"]][:3] == [
        ("nodes.node-1.up", [1.0]),
        ("nodes.node-2.up", [1.0]),
        ("nodes.node-3.up", [0.0]),
    ]
    assert [series["metric"] for series in told["series"]][3:] == ["queue.queued"]


def test_without_a_step_there_are_some_hundreds_of_points(record: ShortRecord) -> None:
    told = record.get(
        "history", metric="queue.queued", **{"from": record.at(10), "to": record.at(12)}
    )
    auto = record.get(
        "history",
        metric="queue.queued",
        step="auto",
        **{"from": record.at(10), "to": record.at(12)},
    )
    assert auto == told
    # As fine as snapshots are taken, on the ladder of round steps.
    assert told["step_s"] == 120
    year = record.get("history", metric="queue.queued", **{"from": "-365d"})
    assert 100 <= len(year["times"]) <= 400
    ages = record.get(
        "history", metric="queue.queued", **{"from": "1970-01-01", "to": "3000-01-01"}
    )
    assert len(ages["times"]) <= 5000


def test_without_a_period_it_is_the_last_day(sqlite_url: str, tmp_path: Path) -> None:
    now_ms = this_tick_ms()
    for hours in (30, 23, 1):
        at_ms = now_ms - hours * 3_600_000
        store(sqlite_url, full_document(at_ms) | {"queue": {"queued": hours}})
    visitor = visitor_of(sqlite_url, tmp_path)
    told = visitor.get("/api/engineering/history?metric=queue.queued&step=1h").get_json()
    known = [value for value in told["series"][0]["last"] if value is not None]
    assert known == [23, 1]
    assert 25 <= len(told["times"]) <= 26


def test_csv_has_the_same_numbers_in_a_row_a_step(record: ShortRecord) -> None:
    query = {
        "metric": ["queue.queued", "latency.p95"],
        "step": "30m",
        "from": record.at(2),
        "to": record.at(5),
    }
    query["step"] = "1h"
    told = record.get("history", **query)
    answer = record.visitor.get("/api/engineering/history", query_string=query | {"format": "csv"})
    assert answer.content_type == "text/csv; charset=utf-8; header=present"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="test-history.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    names = [
        "time",
        "metric",
        "mean",
        "min",
        "max",
        "last",
        "snapshots",
        "value",
        "count",
        "errors",
    ]
    assert answer.text.splitlines()[0].split(",") == names
    expected: list[dict[str, Any]] = [
        {"time": at, "metric": series["metric"]}
        | {name: series[name][number] if name in series else None for name in names[2:]}
        for series in told["series"]
        for number, at in enumerate(told["times"])
    ]
    read = [
        row | {name: float(row[name]) if row[name] else None for name in names[2:]} for row in rows
    ]
    assert read == expected
    # Three of the hours were not observed at all or have nothing but a part.
    assert [row["mean"] for row in rows if row["snapshots"] == "0"] == [""]


def test_a_path_is_quoted_in_csv_where_it_has_to_be(sqlite_url: str, tmp_path: Path) -> None:
    bucket = 'a,"b"\nc'
    at_ms = this_tick_ms() - INTERVAL_MS
    store(sqlite_url, full_document(at_ms) | {"outcomes": {bucket: {"clicks": 7}}})
    visitor = visitor_of(sqlite_url, tmp_path)
    path = f"outcomes.{bucket}.clicks"
    query = {"metric": path, "step": "1h", "format": "csv"}
    text = visitor.get("/api/engineering/history", query_string=query).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["metric"] for row in rows} == {path}
    assert [row["last"] for row in rows if row["last"]] == ["7"]


def test_the_metrics_that_there_are_can_all_be_asked_for(record: ShortRecord) -> None:
    told = record.get("metrics")
    assert told["classes"] == ["latency"]
    assert {"queue.queued", "nodes.node-2.up", "outcomes.hybrid-v1.ctr", "latency.p99.9"} <= set(
        told["metrics"]
    )
    assert told["metrics"] == sorted(told["metrics"])
    period = {"from": record.at(11), "to": record.at(12), "step": "1h"}
    for metric in told["metrics"]:
        assert record.get("history", metric=metric, **period)["series"][0]["metric"] == metric


@pytest.mark.parametrize(
    ("query", "category", "detail"),
    [
        ("", "bad_parameter", "metric: expected one to 50 of them"),
        ("metric=", "unknown_metric", "metric: no number of that name has been recorded"),
        ("metric=queue", "unknown_metric", "metric: no number of that name has been recorded"),
        ("metric=nodes.*.x", "unknown_metric", "metric: no number of that name has been recorded"),
        ("metric=%00", "bad_parameter", "metric: expected a text of at most 1000 characters"),
        ("metric=***********q", "bad_parameter", "metric: expected at most 3 *"),
        ("metric=queue.queued&format=xml", "bad_parameter", "format: expected json or csv"),
        ("metric=queue.queued&format=", "bad_parameter", "format: expected json or csv"),
        ("metric=queue.queued&step=0", "bad_parameter", "step: expected auto, "),
        ("metric=queue.queued&step=-5m", "bad_parameter", "step: expected auto, "),
        ("metric=queue.queued&step=", "bad_parameter", "step: expected auto, "),
        ("metric=queue.queued&step=5m&step=5m", "bad_parameter", "step: expected one value"),
        ("metric=queue.queued&from=x", "bad_parameter", "from: expected ISO 8601"),
        ("metric=queue.queued&to=x", "bad_parameter", "to: expected ISO 8601"),
        ("metric=queue.queued&from=now", "bad_parameter", "from: expected a time before that"),
        ("metric=queue.queued&from=5&to=4", "bad_parameter", "from: expected a time before that"),
        ("metric=queue.queued&form=csv", "bad_parameter", "query: expected only metric, from, to,"),
        ("metric=queue.queued&step=50s", "too_fine", "step: a snapshot is taken every 100 s"),
    ],
)
def test_what_cannot_be_answered_says_what_was_expected(
    record: ShortRecord, query: str, category: str, detail: str
) -> None:
    answer = record.visitor.get(f"/api/engineering/history?{query}")
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    body = answer.get_json()
    assert (body["ok"], body["error"]) == (False, category)
    assert body["detail"].startswith(detail)
    assert answer.headers["Cache-Control"] == "no-store"


def test_too_many_points_says_how_many_and_what_step_would_do(record: ShortRecord) -> None:
    period = {"from": "2020-01-01", "to": "2020-12-31", "step": "1h"}
    query = {"metric": "queue.queued", **period}
    answer = record.visitor.get("/api/engineering/history", query_string=query)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "too_many_points")
    detail = answer.get_json()["detail"]
    # 365 days of a leap year; every 2 hours are 4,380 points.
    assert "8760 points" in detail
    assert "7200 s" in detail
    assert len(record.get("history", **query | {"step": "2h"})["times"]) == 4380


def test_of_long_ago_only_the_steps_that_are_stored_can_be_asked(record: ShortRecord) -> None:
    query = {"metric": "queue.queued", "from": record.at(1), "to": record.at(3), "step": "30m"}
    answer = record.visitor.get("/api/engineering/history", query_string=query)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "too_fine")
    assert "1h" in answer.get_json()["detail"]


@pytest.mark.parametrize("step", ["auto", "1d", "366d"])
def test_a_period_far_from_the_present_is_no_fault(record: ShortRecord, step: str) -> None:
    query = {"metric": "queue.queued", "step": step}
    far = {"from": "1970-01-01", "to": "1970-01-02"}, {"from": "2999-12-30", "to": "3000-01-01"}
    for period in far:
        told = record.get("history", **query, **period)
        assert set(told["series"][0]["mean"]) == {None}
    for period, name in (
        ({"from": "1969-12-31", "to": "1970-01-02"}, "from"),
        ({"from": "0001-01-01", "to": "3000-01-01"}, "from"),
        ({"from": "2999-12-30", "to": "3000-01-02"}, "to"),
        ({"from": "9999-12-30", "to": "9999-12-31T23:59:59.999Z"}, "from"),
    ):
        answer = record.visitor.get("/api/engineering/history", query_string=query | period)
        assert answer.status_code == 400
        expected = f"{name}: expected a time of the years 1970 to 2999"
        assert answer.get_json()["detail"] == expected


def test_the_period_told_is_the_one_used(record: ShortRecord) -> None:
    told = record.get("history", metric="queue.queued", **{"from": record.at(11)})
    assert told["from"] <= record.at(11)
    assert told["to"] >= iso(record.newest.at_ms)
