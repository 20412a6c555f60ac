"""Every table of an export in every format, against everything that was ever recorded."""

import csv
import io
import json
import math
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from migrations.upgrading import upgrade
from store.engines import open_reader
from store.export.exporting import Exported, carry_out, plan
from store.history.asking import Period
from store.times import HOUR_MS, iso_utc
from tests.support.thinned_record import (
    END_MS,
    INTERVAL_MS,
    NEWEST_MS,
    RAW_FROM_MS,
    SOURCE,
    START_MS,
    STEPS_MS,
    Taken,
    complete_periods,
    make,
    nearest_rank_ms,
    still_there,
    within,
)

ALL = Period(START_MS, END_MS)
Row = dict[str, Any]
Stored = tuple[str, list[Taken]]

in_each_format = pytest.mark.parametrize("file_format", ["ndjson", "csv", "parquet"])


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """The URL of a store, and what was ever taken."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('export')}/store.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    upgrade(url)
    return url, make(url)


def _export(
    url: str, file_format: str, table: str, period: Period = ALL, tier: str | None = None
) -> tuple[bytes, Exported]:
    """Return an export, and what was counted of it."""
    reader, sink, counted = open_reader(url), io.BytesIO(), []
    planned = plan(SOURCE, period, file_format, table, tier)
    exported = carry_out(reader, planned, sink, lambda so_far: counted.append(so_far.rows))
    reader.dispose()
    assert (counted or [0])[-1] == exported.rows
    return sink.getvalue(), exported


def _rows(
    url: str, file_format: str, table: str, period: Period = ALL, tier: str | None = None
) -> list[Row]:
    """Return the rows of an export, times as ISO 8601 and CSV's texts as they are."""
    content, exported = _export(url, file_format, table, period, tier)
    if file_format == "ndjson":
        found = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    elif file_format == "csv":
        found = list(csv.DictReader(io.StringIO(content.decode())))
    else:
        read = parquet.read_table(io.BytesIO(content)).to_pylist()
        found = [{name: _plain(value) for name, value in row.items()} for row in read]
    assert len(found) == exported.rows
    return found


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    assert value.utcoffset() == timedelta(0)
    return iso_utc(round(value.timestamp() * 1000))


def _as(file_format: str, row: Row) -> Row:
    """Return a row as `file_format` gives it back: CSV knows texts alone."""
    if file_format != "csv":
        return row
    return {name: "" if value is None else str(value) for name, value in row.items()}


def test_documents_are_a_line_each_as_they_were_stored(stored: Stored) -> None:
    url, record = stored
    content, exported = _export(url, "ndjson", "snapshots")
    left = still_there(record)
    assert content.decode().split("\n") == [*(one.text for one in left), ""]
    thinned = [one.at_ms for one in left if one.at_ms < RAW_FROM_MS]
    assert len(thinned) > 150
    assert exported == Exported(
        rows=len(left),
        snapshots=len(left),
        thinned=len(thinned),
        first_ms=START_MS,
        last_ms=NEWEST_MS,
        last_thinned_ms=thinned[-1],
    )


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_documents_go_into_a_table_too(stored: Stored, file_format: str) -> None:
    url, record = stored
    assert _rows(url, file_format, "snapshots") == [
        _as(
            file_format,
            {
                "taken_at": iso_utc(one.at_ms),
                "thinned": int(one.at_ms < RAW_FROM_MS),
                "document": one.text,
            },
        )
        for one in still_there(record)
    ]


@in_each_format
def test_numbers_are_a_row_each_with_their_time_and_path(stored: Stored, file_format: str) -> None:
    url, record = stored
    period = Period(START_MS + 28 * HOUR_MS, START_MS + 31 * HOUR_MS + 1)
    found = _rows(url, file_format, "numbers", period)
    expected = [
        {"taken_at": iso_utc(one.at_ms), "path": path, "value": value}
        for one in within(still_there(record), period.start_ms, period.end_ms)
        for path, value in one.numbers.items()
    ]
    order = ("taken_at", "path")
    assert sorted(found, key=lambda row: [row[name] for name in order]) == [
        _as(file_format, {**row, "value": float(row["value"])})
        for row in sorted(expected, key=lambda row: [row[name] for name in order])
    ]
    assert [row["taken_at"] for row in found] == sorted(row["taken_at"] for row in found)


@in_each_format
@pytest.mark.parametrize("tier", ["5m", "1h", "1d"])
def test_roll_ups_are_what_the_snapshots_of_their_periods_had(
    stored: Stored, tier: str, file_format: str
) -> None:
    url, record = stored
    found = _rows(url, file_format, "rollups", tier=tier)
    first = min(row["starts_at"] for row in found)
    expected = []
    for at, some in complete_periods(record, STEPS_MS[tier]).items():
        for path in ("nodes.n.1.rtt_ms", "nodes.n.1.up", "outcomes.hybrid-v1.ctr", "queue.queued"):
            had = [one.numbers[path] for one in some if path in one.numbers]
            if had and iso_utc(at) >= first:
                row = {
                    "tier": tier,
                    "starts_at": iso_utc(at),
                    "path": path,
                    "snapshots": len(had),
                    "expected": STEPS_MS[tier] / INTERVAL_MS,
                    "min": float(min(had)),
                    "max": float(max(had)),
                    "last": float(had[-1]),
                }
                expected.append((row, math.fsum(had) / len(had)))
    assert len(found) == len(expected)
    for row, (told, mean) in zip(found, expected, strict=True):
        assert float(row.pop("mean")) == pytest.approx(mean, rel=1e-15)
        assert row == _as(file_format, told)


def _check_requests(row: Row, durations_us: list[int], errors: int) -> None:
    counts = (row["requests"], row["errors"], row["lost"], row["clamped"])
    assert counts == (len(durations_us), errors, 0, 0)
    if not durations_us:
        assert {row[f"{name}_ms"] for name in ("min", "p50", "p99", "p999", "max")} == {None}
        return
    assert row["min_ms"] == min(durations_us) / 1000
    assert row["max_ms"] == max(durations_us) / 1000
    for name, percentile in (("p50", 50), ("p75", 75), ("p90", 90), ("p95", 95), ("p999", 99.9)):
        # A bucket of the histogram is 0.1 % wide.
        exact_ms = nearest_rank_ms(durations_us, percentile)
        assert row[f"{name}_ms"] == pytest.approx(exact_ms, rel=1e-3)


@pytest.mark.parametrize("file_format", ["ndjson", "parquet"])
def test_intervals_are_the_requests_that_each_snapshot_recorded(
    stored: Stored, file_format: str
) -> None:
    url, record = stored
    found = _rows(url, file_format, "intervals")
    taken = within(record, RAW_FROM_MS, END_MS)
    assert [row["taken_at"] for row in found] == [iso_utc(one.at_ms) for one in taken]
    for row, one in zip(found, taken, strict=True):
        assert row["class"] == "latency"
        _check_requests(row, list(one.durations_us), one.errors)
        ended = [iso_utc(one.at_ms - 1000), iso_utc(one.at_ms - 1)]
        assert [row["oldest_at"], row["newest_at"]] == (ended if one.durations_us else [None] * 2)


@pytest.mark.parametrize("tier", STEPS_MS)
def test_latency_is_that_of_all_requests_of_its_period(stored: Stored, tier: str) -> None:
    url, record = stored
    found = _rows(url, "ndjson", "latency", tier=tier)
    periods = complete_periods(record, STEPS_MS[tier])
    starts = [iso_utc(at) for at in periods]
    assert [row["starts_at"] for row in found] == starts[-len(found) :]
    assert len(found) == len(starts) or tier in ("5m", "30m")
    for row, some in zip(found, list(periods.values())[-len(found) :], strict=True):
        _check_requests(
            row, [us for one in some for us in one.durations_us], sum(one.errors for one in some)
        )


@in_each_format
def test_changes_of_status_are_a_row_each(stored: Stored, file_format: str) -> None:
    url, record = stored
    assert _rows(url, file_format, "changes", Period(START_MS + 1, END_MS)) == [
        _as(
            file_format,
            {
                "taken_at": iso_utc(one.at_ms),
                "kind": "node",
                "name": "n.1",
                "from_status": before.node_status,
                "to_status": one.node_status,
                "reason": None,
                "previous_at": iso_utc(before.at_ms),
            },
        )
        for before, one in pairwise(record)
        if one.node_status != before.node_status
    ]


def test_parquet_has_real_types_and_is_told_to_be_of_utc(stored: Stored) -> None:
    url, _ = stored
    content, _ = _export(url, "parquet", "intervals")
    types = {field.name: field.type for field in parquet.read_schema(io.BytesIO(content))}
    assert types["taken_at"] == pa.timestamp("ms", tz="UTC")
    assert types["class"] == pa.string()
    assert types["requests"] == pa.int64()
    assert types["p99_ms"] == pa.float64()


def test_a_row_of_roll_ups_that_begins_in_the_period_is_of_it(stored: Stored) -> None:
    url, _ = stored
    period = Period(START_MS + 2 * HOUR_MS, START_MS + 4 * HOUR_MS + 1)
    for table in ("rollups", "latency"):
        found = _rows(url, "ndjson", table, period, "1h")
        hours = {row["starts_at"] for row in found}
        assert hours == {iso_utc(START_MS + hour * HOUR_MS) for hour in (2, 3, 4)}


def test_what_another_source_has_recorded_is_not_exported(stored: Stored) -> None:
    url, _ = stored
    reader, sink = open_reader(url), io.BytesIO()
    for table in ("snapshots", "numbers", "rollups", "intervals", "latency", "changes"):
        planned = plan("two", ALL, "ndjson", table, None)
        assert carry_out(reader, planned, sink, lambda _: None) == Exported()
    reader.dispose()
    assert sink.getvalue() == b""
