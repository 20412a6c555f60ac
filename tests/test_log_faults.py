"""Access logs at fault: the section says so, and nothing else is touched or delayed."""

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from daemon.failures import SampleError
from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.logs import USERS, append, collecting, interval_counts, samples, windows
from tests.support.other_user import without_rights
from tests.support.sampling import (
    assert_fit_for_the_public,
    cycle_of,
    document_of,
    now_ms,
    statuses,
)
from tests.support.servers import RawServer, healthy

LogLine = Callable[..., str]
CLASSES = ("latency", "latency_admin")
MEASURED = ("p50", "p95", "p99", "max", "samples", "errors", "oldest_s", "p95_bar")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def tree(sqlite_url: str, bottube_path: Path, log: Path) -> dict[str, Any]:
    return bottube_tree(
        store_url=sqlite_url, observed_url=f"sqlite:///{bottube_path}", log_path=log
    )


def _assert_only_latency_fails(document: Document, reason: str, *private: str) -> None:
    for name in CLASSES:
        section = document["sections"][name]
        assert (section["status"], section["reason"]) == ("error", reason)
        assert {document[name][key] for key in MEASURED} == {None}
    others = {name: status for name, status in statuses(document).items() if name not in CLASSES}
    assert others == {**dict.fromkeys(others, "ok"), "nodes": "off"}
    assert_fit_for_the_public(document, "access.log", *private)


def _nothing(_log: Path) -> None:
    """Leave the log missing."""


def _make_fifo(log: Path) -> None:
    os.mkfifo(log)


def _fill_with_noise(log: Path) -> None:
    log.write_bytes(random.Random(1).randbytes(300_000))


def _fill_with_another_format(log: Path) -> None:
    log.write_text("2026-11-20T10:13:30Z GET /api/feed 200 took 5ms\n" * 20)


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (_nothing, "no_file"),
        (Path.mkdir, "unreadable"),
        (_make_fifo, "unreadable"),
        (_fill_with_noise, "unparsed"),
        (_fill_with_another_format, "unparsed"),
    ],
    ids=["missing", "a directory", "a FIFO", "binary", "another format"],
)
def test_a_log_at_fault_is_named_and_its_values_are_null_and_the_rest_is_fresh(
    tmp_path: Path,
    tree: dict[str, Any],
    log: Path,
    break_it: Callable[[Path], None],
    reason: str,
) -> None:
    break_it(log)
    cycle = cycle_of(tmp_path, tree)
    for _ in range(2):
        began = time.perf_counter()
        _assert_only_latency_fails(document_of(cycle), reason, str(tmp_path))
        assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("closed", ["the file", "the directory"])
def test_a_log_without_the_right_to_read_it_is_denied(
    tmp_path: Path, tree: dict[str, Any], log_line: LogLine, closed: str
) -> None:
    for section in ("observed", "state", "queue", "outcomes", "experiments", "pipeline"):
        del tree[section]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "logs"
        directory.mkdir()
        Path(name).chmod(0o755)
        log = directory / "access.log"
        log.write_text(log_line() + log_line("/admin/backfill"))
        log.chmod(0o644)
        directory.chmod(0o755)
        tree["latency"]["access_logs"][0]["path"] = str(log)
        # Here, so that everything is imported; and there, to show that it can be read.
        assert statuses(document_of(cycle_of(tmp_path, tree)))["latency"] == "ok"
        first, second = cycle_of(tmp_path, tree), cycle_of(tmp_path, tree)
        assert statuses(without_rights(lambda: document_of(first)))["latency"] == "ok"
        (log if closed == "the file" else directory).chmod(0o000)
        document = without_rights(lambda: document_of(second))
        directory.chmod(0o755)
    assert {document["sections"][key]["reason"] for key in CLASSES} == {"denied"}
    assert {document["sections"][key]["status"] for key in CLASSES} == {"error"}


def test_a_log_that_turns_binary_carries_its_last_good_values_and_mends(
    tmp_path: Path, tree: dict[str, Any], log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line(duration_us=9_000) * 5)
    cycle = cycle_of(tmp_path, tree)
    good = document_of(cycle)
    with log.open("ab") as file:
        file.write(bytes(range(256)) * 40 + b"\n")
    broken = document_of(cycle)
    section = broken["sections"]["latency"]
    assert (section["status"], section["reason"]) == ("stale", "unparsed")
    assert section["sampled_at"] == good["sections"]["latency"]["sampled_at"]
    assert broken["latency"] == good["latency"]
    append(log, log_line(duration_us=9_000))
    mended = document_of(cycle)
    assert mended["sections"]["latency"]["status"] == "ok"
    assert mended["latency"]["samples"] == 6
    assert mended["latency"]["unparsed"] > 0


def test_lines_that_are_not_understood_among_others_are_counted(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line() * 2)
    collector = collecting(log)
    assert windows(collector)[USERS]["unparsed"] == 0
    append(log, "Traceback (most recent call last):\n", log_line(), "\x00\x01\n", log_line())
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["unparsed"]) == (4, 2)


def test_a_line_without_an_end_is_dropped_whole_and_the_next_one_counts(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line())
    collector = collecting(log)
    assert samples(collector) == 1
    # It grows over ticks, longer than any line may be; only then comes its end.
    for _ in range(4):
        append(log, "x" * 30_000)
        with suppress(SampleError):
            collector.sample()
    append(log, log_line() + log_line())
    latency = windows(collector)[USERS]
    assert latency["samples"] == 2
    assert latency["unparsed"] == 1


@pytest.mark.parametrize("character", ["x", "[", '"'])
def test_a_very_long_line_that_comes_at_once_costs_next_to_no_time(
    log: Path, log_line: LogLine, character: str
) -> None:
    log.write_text(log_line())
    collector = collecting(log)
    assert samples(collector) == 1
    append(log, "203.0.113.9 - " + character * 60_000 + "\n", log_line())
    append(log, "203.0.113.9 - " + "x" * 3_000_000 + "\n", log_line())
    began = time.perf_counter()
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["unparsed"]) == (3, 2)
    assert time.perf_counter() - began < 0.5


def test_opsnaps_own_pages_and_the_health_url_are_no_traffic_whatever_their_query(
    log: Path, log_line: LogLine
) -> None:
    own = ["/engineering", "/api/engineering?at=-7d", "/health", "/health?probe=1"]
    log.write_text(log_line("/api/feed") + "".join(log_line(path, 9_000_000) for path in own))
    collector = collecting(log)
    assert samples(collector) == 1
    append(log, *(log_line(path, 9_000_000) for path in own), log_line("/engineering-blog"))
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["max"]) == (2, 5.0)
    assert interval_counts(collector)["latency"] == 1


def test_an_interval_has_exactly_the_requests_since_the_last_cut(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line() * 10)
    collector = collecting(log)
    collector.sample()
    collector.cut()
    for users, admin in ((3, 1), (0, 0), (5, 2)):
        lines = [log_line(duration_us=1_000 + n, status=500 + n) for n in range(users)]
        lines += [log_line("/admin/backfill", 40_000_000)] * admin
        append(log, *lines)
        collector.sample()
        intervals = collector.cut().intervals
        assert {key: one.histogram.count for key, one in intervals.items()} == {
            "latency": users,
            "latency_admin": admin,
        }
        assert intervals["latency"].histogram.errors == users
        assert intervals["latency"].histogram.max_us == (999 + users if users else None)
        assert intervals["latency"].histogram.min_us == (1_000 if users else None)


def test_intervals_that_were_not_stored_are_part_of_the_next_ones(
    tmp_path: Path, tree: dict[str, Any], log: Path, log_line: LogLine
) -> None:
    log.touch()
    cycle = cycle_of(tmp_path, tree)
    document_of(cycle)
    append(log, log_line(duration_us=2_000), log_line("/admin/backfill", 7_000_000))
    lost = cycle.run(now_ms())
    assert lost is not None
    cycle.not_stored(lost)
    append(log, log_line(duration_us=8_000, status=503))
    stored = cycle.run(now_ms())
    assert stored is not None
    users, admin = (stored.snapshot.intervals[key].histogram for key in CLASSES)
    assert (users.count, users.errors, users.min_us, users.max_us) == (2, 1, 2_000, 8_000)
    assert (admin.count, admin.max_us) == (1, 7_000_000)
    after = cycle.run(now_ms())
    assert after is not None
    assert {one.histogram.count for one in after.snapshot.intervals.values()} == {0}


def test_a_log_that_cannot_be_read_in_time_delays_no_tick_and_counts_when_it_is_read(
    tmp_path: Path, tree: dict[str, Any], log: Path, log_line: LogLine
) -> None:
    log.touch()
    with RawServer(healthy()) as node:
        tree["schedule"]["deadline_s"] = 0.8
        tree["observed"]["query_timeout_s"] = 0.3
        tree["nodes"] = [{"id": "n", "location": "l", "url": node.url, "timeout_s": 0.3}]
        cycle = cycle_of(tmp_path, tree)
        document_of(cycle)
        # Far more than a deadline's worth of lines since the last tick.
        lines = 250_000
        log.write_text(
            "".join(log_line(f"/api/{n % 50}", n) for n in range(1_000)) * (lines // 1000)
        )
        began = time.perf_counter()
        tick = cycle.run(now_ms())
        took_s = time.perf_counter() - began
    assert tick is not None
    assert tick.sections["latency"].reason == "timeout"
    assert tick.sections["nodes"].status == "ok"
    assert took_s < 0.8 + 0.5
    # What was counted by then belongs to that tick, the rest to those after it.
    counted = tick.snapshot.intervals["latency"].histogram.count
    ends = time.monotonic() + 20
    while counted < lines and time.monotonic() < ends:
        tick = cycle.run(now_ms())
        assert tick is not None
        counted += tick.snapshot.intervals["latency"].histogram.count
    assert counted == lines


def test_one_log_of_two_at_fault_is_named_and_the_others_requests_are_counted(
    tmp_path: Path, tree: dict[str, Any], log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line() * 2)
    missing = tmp_path / "edge.log"
    tree["latency"]["access_logs"].append({"path": str(missing), "format": "nginx"})
    cycle = cycle_of(tmp_path, tree)
    document = document_of(cycle)
    assert document["sections"]["latency"]["reason"] == "no_file"
    append(log, log_line() * 3)
    tick = cycle.run(now_ms())
    assert tick is not None
    assert tick.snapshot.intervals["latency"].histogram.count == 3
    missing.write_text("")
    assert document_of(cycle)["latency"]["samples"] == 5


def test_several_threads_reading_at_once_count_every_request_once(
    log: Path, log_line: LogLine
) -> None:
    log.touch()
    collector = collecting(log)
    collector.sample()
    cut: list[int] = []
    threads = [threading.Thread(target=lambda: [collector.sample() for _ in range(5)])]
    threads += [
        threading.Thread(target=lambda: cut.extend(interval_counts(collector).values()))
        for _ in range(5)
    ]
    append(log, log_line() * 2_000)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cut.extend(interval_counts(collector).values())
    assert sum(cut) == 2_000
