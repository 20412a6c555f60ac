"""`.hgrm` and `.hlog` of any period, read by another implementation of HdrHistogram.

`hdr-histogram-js` reads the log under Node.js, adds its intervals up and writes a percentile
distribution of its own; NumPy has the durations themselves.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdrh.log import HistogramLogReader

from store.histograms import LatencyHistogram
from store.history.hdr_text import LogLine, hgrm, hlog
from tests.support.short_record import HOUR_MS, MINUTE_MS, ShortRecord
from tests.support.skipping import skip_unless_ci

pytest_plugins = ("tests.support.short_record_plugin",)

_READER = Path(__file__).parent / "hdr_js" / "read_files.js"
_QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
#: In hours after the begin: all of it; within what is left of 5 minutes; the snapshots' own times.
_PERIODS = [(0, 13), (-14, 34), (7.25, 11.5), (10.05, 10.45), (11.9, 12.01), (2, 4)]
_HOUR_US = 3_600_000_000
_DURATIONS_US = {
    "one": [41_234],
    "shortest": [0, 1, 2],
    "far apart": [3, 90_000_000],
    "few slow": [8_000] * 158 + [486_000, 500_000],
    "one in 100,000": [5] * 100_000 + [7_000_000],
    "longest": [1, _HOUR_US - 1, _HOUR_US],
    "out of range": [-5, 2 * _HOUR_US],
    "evenly spread": list(range(1, 5000, 7)),
}

of_any_period = pytest.mark.parametrize("period", _PERIODS, ids=str)


def read_by_node(text: str) -> dict[str, Any]:
    """Return what hdr-histogram-js reads in the histogram log `text`."""
    node = shutil.which("node")
    if node is None:
        skip_unless_ci("Node.js is not there to read histogram logs")
    if not _READER.with_name("node_modules").is_dir():
        skip_unless_ci("hdr-histogram-js is not installed: npm ci --prefix tests/hdr_js")
    told = json.dumps({"hlog": text})
    done = subprocess.run(
        [node, str(_READER)], input=told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def files(record: ShortRecord, period: tuple[float, float]) -> tuple[dict[str, Any], str, str]:
    """Return what the API tells of a period, its .hgrm and its .hlog."""
    query = {"class": "latency", "from": record.at(period[0]), "to": record.at(period[1])}
    told = record.get("latency", **query)
    return (
        told,
        record.get("latency", **query, format="hgrm"),
        record.get("latency", **query, format="hlog"),
    )


@of_any_period
def test_another_implementation_reads_the_log_to_the_same_counts_percentiles_and_maximum(
    record: ShortRecord, period: tuple[float, float]
) -> None:
    told, _, log = files(record, period)
    read = read_by_node(log)["whole"]
    assert read["count"] == told["count"]
    # The exact maximum is told beside the histogram, which has it to 0.1 %.
    assert read["max_ms"] == pytest.approx(told["max"], rel=0.001)
    held = [min(value, told["max"]) for value in read["percentiles_ms"]]
    assert held == [told[name] for name in _QUANTILES]
    durations_us = [us for one in record.within(*used(record, told)) for us in one.durations_us]
    assert told["count"] == len(durations_us)
    assert told["max"] == max(durations_us) / 1000
    exact_us = np.quantile(durations_us, list(_QUANTILES.values()), method="inverted_cdf")
    np.testing.assert_allclose(held, exact_us / 1000, rtol=0.001)


def used(record: ShortRecord, told: dict[str, Any]) -> tuple[float, float]:
    """Return the period that an answer is of, in hours after the begin."""
    stamps = [np.datetime64(told[name].removesuffix("Z")) for name in ("from", "to")]
    begin, end = (float(stamp.astype("datetime64[ms]").astype(np.int64)) for stamp in stamps)
    return (begin - record.start_ms) / HOUR_MS, (end - record.start_ms) / HOUR_MS


@of_any_period
def test_the_distribution_is_the_one_that_the_other_implementation_writes_of_the_log(
    record: ShortRecord, period: tuple[float, float]
) -> None:
    _, distribution, log = files(record, period)
    ours, comments = distribution.split("#[opsnap: ")
    assert ours == read_by_node(log)["whole"]["hgrm"]
    assert all(line.startswith("#") for line in comments.splitlines()[1:])


@of_any_period
def test_the_intervals_of_a_log_follow_each_other_within_the_period_and_are_what_happened_in_them(
    record: ShortRecord, period: tuple[float, float]
) -> None:
    told, _, log = files(record, period)
    begin_ms, end_ms = (record.start_ms + round(hours * HOUR_MS) for hours in used(record, told))
    intervals = read_by_node(log)["intervals"]
    for one in intervals:
        hours = [(one[name] - record.start_ms) / HOUR_MS for name in ("start_ms", "end_ms")]
        durations_us = [us for taken in record.within(*hours) for us in taken.durations_us]
        assert one["count"] == len(durations_us)
        highest_us = max(durations_us, default=0)
        assert one["max_ms"] == pytest.approx(highest_us / 1000, rel=0.001)
    bounds_ms = [ms for one in intervals for ms in (one["start_ms"], one["end_ms"])]
    assert bounds_ms == sorted(bounds_ms)
    assert begin_ms <= bounds_ms[0]
    assert bounds_ms[-1] <= end_ms


def test_a_long_log_is_of_the_coarsest_rows_that_fit(record: ShortRecord) -> None:
    *_, log = files(record, (-13.5, 12))
    lengths = [one["end_ms"] - one["start_ms"] for one in read_by_node(log)["intervals"]]
    # Of its begin, half past midnight, nothing finer than hours is left: the whole day fits.
    assert lengths == [24 * HOUR_MS, HOUR_MS, HOUR_MS]
    *_, log = files(record, (7.5, 8.25))
    lengths = {one["end_ms"] - one["start_ms"] for one in read_by_node(log)["intervals"]}
    assert lengths == {5 * MINUTE_MS}


def test_a_gap_has_no_line_in_the_log(record: ShortRecord) -> None:
    *_, log = files(record, (2, 5))
    starts = [one["start_ms"] for one in read_by_node(log)["intervals"]]
    # Of the four hours from 2:00 on the daemon was stopped in the whole of 3:00.
    assert starts == [record.start_ms + hour * HOUR_MS for hour in (2, 4)]


def test_a_period_in_which_nobody_looked_has_an_empty_log_and_no_values(
    record: ShortRecord,
) -> None:
    told, distribution, log = files(record, (3, 4))
    assert read_by_node(log) == {"intervals": [], "whole": None}
    assert told["count"] is None
    lines = distribution.splitlines()
    assert not [line for line in lines[2:] if not line.startswith("#")]
    assert lines[2] == "#[Mean    =          NaN, StdDeviation   =          NaN]"
    assert "requests unknown" in distribution
    assert "requests unknown" in log


def test_the_python_package_reads_the_log_too(record: ShortRecord, tmp_path: Path) -> None:
    told, _, log = files(record, (0, 12))
    path = tmp_path / "requests.hlog"
    path.write_text(log)
    whole = LatencyHistogram()._histogram
    reader = HistogramLogReader(str(path), whole)
    intervals = 0
    while reader.add_next_interval_histogram() is not None:
        intervals += 1
    reader.close()
    assert intervals == len(read_by_node(log)["intervals"])
    assert whole.get_total_count() == told["count"]
    assert reader.get_start_time_sec() == record.start_ms / 1000


@pytest.mark.parametrize("name", _DURATIONS_US)
def test_any_durations_make_the_files_that_the_other_implementation_makes(name: str) -> None:
    histogram = LatencyHistogram()
    histogram.record_all(_DURATIONS_US[name], errors=0)
    line = LogLine(1_500, 4_250, histogram.encode(), histogram.max_us)
    log = hlog([line], 1_500, ["A comment, with a comma"])
    read = read_by_node(log)
    assert read["intervals"][0]["start_ms"] == 1_500
    assert read["intervals"][0]["end_ms"] == 4_250
    assert read["whole"]["hgrm"] == hgrm(histogram, [])
    (told,) = re.findall(r"^1\.500,2\.750,([\d.]+),HIST", log, re.MULTILINE)
    assert float(told) == read["intervals"][0]["max_ms"]
