"""`/api/engineering/latency`: exact percentiles of all requests of a class in any period."""

from typing import Any

import numpy as np
import pytest

from tests.support.documents import iso
from tests.support.short_record import HOUR_MS, INTERVAL_MS, ShortRecord

pytest_plugins = ("tests.support.short_record_plugin",)

QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def told_of(record: ShortRecord, begin: float, end: float, **query: Any) -> Any:
    period = {"from": record.at(begin), "to": record.at(end)}
    return record.get("latency", **{"class": "latency"}, **period, **query)


@pytest.mark.parametrize(
    ("begin", "end", "used", "tiers"),
    [
        (0, 12, (0, 12), ["1h", "1d"]),
        (-14, 12, (-14, 12), ["1d", "1h"]),
        (-14, 48, (-14, 48), ["1d", "1h", "snapshots"]),
        (7.5, 8.25, (7.5, 8.25), ["5m"]),
        (10.05, 10.45, (10.05, 10.45), ["snapshots", "5m"]),
        # What is left of these times is coarser, and the period with it.
        (7.52, 8.26, (7.5, 8 + 20 / 60), ["5m"]),
        (0.5, 4.5, (0, 5), ["1h"]),
    ],
)
def test_percentiles_are_of_all_requests_of_the_period(
    record: ShortRecord,
    begin: float,
    end: float,
    used: tuple[float, float],
    tiers: list[str],
) -> None:
    told = told_of(record, begin, end)
    assert (told["ok"], told["source"], told["class"]) == (True, "test", "latency")
    assert (told["asked_from"], told["asked_to"]) == (record.at(begin), record.at(end))
    assert (told["from"], told["to"]) == (record.at(used[0]), record.at(used[1]))
    assert set(told["tiers"]) <= set(tiers)
    within = record.within(*used)
    durations_us = [us for one in within for us in one.durations_us]
    assert told["count"] == len(durations_us)
    assert told["errors"] == sum(one.errors for one in within)
    assert (told["min"], told["max"]) == (min(durations_us) / 1000, max(durations_us) / 1000)
    exact_us = np.quantile(durations_us, list(QUANTILES.values()), method="inverted_cdf")
    np.testing.assert_allclose([told[name] for name in QUANTILES], exact_us / 1000, rtol=0.001)
    busy = [one for one in within if one.durations_us]
    assert told["oldest_at"] == iso(busy[0].at_ms - 50_000)
    assert told["newest_at"] == iso(busy[-1].at_ms - 1)
    assert (told["lost"], told["clamped"], told["unparsed"], told["log_lines"]) == (0, 0, 0, 0)


def test_coverage_is_the_share_of_the_period_that_was_observed(record: ShortRecord) -> None:
    for begin, end in ((0, 2), (10, 12), (2, 5), (7, 10)):
        observed_ms = len(record.within(begin, end)) * INTERVAL_MS
        share = observed_ms / ((end - begin) * HOUR_MS)
        assert told_of(record, begin, end)["coverage"] == pytest.approx(share, abs=1e-6)


def test_of_a_time_in_which_nobody_looked_nothing_is_known(record: ShortRecord) -> None:
    told = told_of(record, 3, 4)
    names = [*QUANTILES, "min", "max", "count", "errors", "lost", "clamped", "unparsed"]
    assert {name: told[name] for name in names} == dict.fromkeys(names)
    assert (told["coverage"], told["oldest_at"], told["newest_at"]) == (0, None, None)


def test_of_a_time_without_requests_the_count_is_known_and_no_percentile(
    record: ShortRecord,
) -> None:
    quiet = next(one for one in record.within(10, 12) if not one.durations_us)
    begin = (quiet.at_ms - record.start_ms) / HOUR_MS
    told = told_of(record, begin, begin + INTERVAL_MS / HOUR_MS)
    assert (told["count"], told["errors"], told["coverage"]) == (0, 0, 1)
    assert [told[name] for name in (*QUANTILES, "min", "max")] == [None] * 8


def test_without_a_period_it_is_the_last_day(record: ShortRecord) -> None:
    told = record.get("latency", **{"class": "latency"})
    asked = [np.datetime64(told[name].removesuffix("Z")) for name in ("asked_from", "asked_to")]
    assert asked[1] - asked[0] == np.timedelta64(24, "h")


@pytest.mark.parametrize("form", ["hgrm", "hlog"])
def test_a_file_says_its_name_what_it_is_of_and_in_which_unit(
    record: ShortRecord, form: str
) -> None:
    query = {"class": "latency", "from": record.at(10), "to": record.at(12), "format": form}
    answer = record.visitor.get("/api/engineering/latency", query_string=query)
    assert answer.content_type == "text/plain; charset=utf-8"
    stamp = record.at(10).replace("-", "").replace(":", "").replace(".000", "")
    disposition = f'attachment; filename="test-latency-{stamp}.{form}"'
    assert answer.headers["Content-Disposition"] == disposition
    comments = [line for line in answer.text.splitlines() if line.startswith("#[")]
    told = told_of(record, 10, 12)
    assert "#[opsnap: source test, latency class latency]" in comments
    assert f"#[From {record.at(10)} to {record.at(12)}]" in comments
    (standing,) = (line for line in comments if line.startswith("#[Observed"))
    # 66 of 72 snapshots were taken.
    assert standing == (
        f"#[Observed 91.6667%; requests {told['count']}, of them errors {told['errors']}, lost 0, "
        f"exact maximum {told['max']:.3f} ms]"
    )
    assert "in milliseconds" in comments[-1 if form == "hgrm" else 3]


@pytest.mark.parametrize(
    ("query", "category", "detail"),
    [
        ("", "bad_parameter", "class: expected one to 1 of them"),
        ("class=", "unknown_class", "class: no latency class of that name"),
        ("class=latency_none", "unknown_class", "class: no latency class of that name"),
        ("class=%00", "bad_parameter", "class: expected a text of at most 1000 characters"),
        ("class=latency&class=latency", "bad_parameter", "class: expected one value"),
        ("class=latency&format=csv", "bad_parameter", "format: expected json or hgrm or hlog"),
        ("class=latency&from=-1h&to=-2h", "bad_parameter", "from: expected a time before that"),
        ("class=latency&step=5m", "bad_parameter", "query: expected only class, from, to, format"),
    ],
)
def test_what_cannot_be_answered_says_what_was_expected(
    record: ShortRecord, query: str, category: str, detail: str
) -> None:
    answer = record.visitor.get(f"/api/engineering/latency?{query}")
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert answer.get_json()["error"] == category
    assert answer.get_json()["detail"].startswith(detail)
