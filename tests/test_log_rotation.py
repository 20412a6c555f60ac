"""Logs that are rotated, truncated, late, or grow: every request once, or said to be lost."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.failures import SampleError
from tests.support.logs import USERS, append, collecting, interval_counts, samples, windows

LogLine = Callable[..., str]
PROJECT = Path(__file__).parents[1]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def test_the_window_is_full_at_once_from_the_logs_tail_and_the_interval_begins_empty(
    log: Path, log_line: LogLine
) -> None:
    log.write_text("".join(log_line(duration_us=us) for us in range(1, 61)))
    collector = collecting(log, window=50)
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["max"]) == (50, 0.060)
    # The 50 last of 60: 11 to 60 µs, whose median by nearest rank is the 25th, 35 µs.
    assert latency["p50"] == 0.035
    assert interval_counts(collector) == {"latency": 0, "latency_admin": 0}


def test_a_window_that_the_log_does_not_fill_goes_on_in_its_predecessor(
    log: Path, log_line: LogLine
) -> None:
    log.with_name("access.log.1").write_text(
        "".join(log_line(duration_us=us) for us in (1, 2, 3, 4, 5))
    )
    log.write_text(log_line(duration_us=6) + log_line(duration_us=7))
    latency = windows(collecting(log, window=4))[USERS]
    assert (latency["samples"], latency["p50"], latency["max"]) == (4, 0.005, 0.007)


def test_a_log_that_was_just_rotated_and_is_empty_still_fills_the_window(
    log: Path, log_line: LogLine
) -> None:
    log.with_name("access.log.1").write_text(log_line() * 3)
    log.touch()
    assert samples(collecting(log)) == 3


def test_each_class_is_filled_although_the_other_has_most_of_the_lines(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line("/admin/backfill", 7_000) * 3 + log_line() * 5_000)
    found = windows(collecting(log, window=100))
    assert (found["latency"]["samples"], found["latency_admin"]["samples"]) == (100, 3)


def test_lines_written_since_the_last_tick_are_counted_once(log: Path, log_line: LogLine) -> None:
    log.write_text(log_line() * 5)
    collector = collecting(log)
    assert samples(collector) == 5
    for expected in (8, 11, 14):
        append(log, log_line() * 3)
        assert samples(collector) == expected
        assert samples(collector) == expected
    assert interval_counts(collector)["latency"] == 9


def test_a_line_counts_when_its_end_is_written_and_then_once(log: Path, log_line: LogLine) -> None:
    whole = log_line()
    log.write_text(whole + whole[:70])
    collector = collecting(log)
    assert samples(collector) == 1
    append(log, whole[70:-1])
    assert samples(collector) == 1
    append(log, "\n", whole[:5])
    assert samples(collector) == 2
    append(log, whole[5:])
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["unparsed"]) == (3, 0)
    assert interval_counts(collector)["latency"] == 2


def test_a_rename_loses_nothing_and_counts_nothing_twice(log: Path, log_line: LogLine) -> None:
    log.write_text(log_line() * 4)
    collector = collecting(log)
    assert samples(collector) == 4
    append(log, log_line() * 2)
    log.rename(log.with_name("access.log.1"))
    log.write_text(log_line() * 3)
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["lost"]) == (9, 0)
    assert samples(collector) == 9
    assert interval_counts(collector)["latency"] == 5


def test_a_writer_that_keeps_the_renamed_file_open_is_read_on(log: Path, log_line: LogLine) -> None:
    writer = log.open("a", buffering=1)
    writer.write(log_line() * 2)
    collector = collecting(log)
    assert samples(collector) == 2
    log.rename(log.with_name("access.log.1"))
    writer.write(log_line() * 3)
    assert samples(collector) == 5
    writer.write(log_line())
    log.write_text(log_line())
    assert samples(collector) == 7
    # The signal to reopen has not reached it yet.
    writer.write(log_line() * 2)
    append(log, log_line())
    assert samples(collector) == 10
    writer.close()
    assert interval_counts(collector)["latency"] == 8


def test_a_line_that_stood_half_written_at_the_rename_is_finished_in_the_old_file(
    log: Path, log_line: LogLine
) -> None:
    whole = log_line()
    writer = log.open("a", buffering=1)
    writer.write(whole[:40])
    writer.flush()
    collector = collecting(log)
    assert samples(collector) == 0
    log.rename(log.with_name("access.log.1"))
    log.write_text(whole)
    assert samples(collector) == 1
    writer.write(whole[40:])
    writer.close()
    assert samples(collector) == 2


def test_two_renames_in_a_row_are_followed(log: Path, log_line: LogLine) -> None:
    log.write_text(log_line())
    collector = collecting(log)
    expected = samples(collector)
    for number in (1, 2, 3):
        append(log, log_line() * number)
        log.rename(log.with_name(f"access.log.{number}"))
        log.write_text(log_line())
        expected += number + 1
        assert samples(collector) == expected


def test_a_truncation_in_place_starts_anew_and_says_that_something_may_be_lost(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line() * 4)
    collector = collecting(log)
    assert windows(collector)[USERS]["lost"] == 0
    os.truncate(log, 0)
    append(log, log_line() * 2)
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["lost"]) == (6, None)
    assert interval_counts(collector)["latency"] == 2


def test_a_truncated_log_that_has_outgrown_its_old_size_is_read_from_its_start(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line("/api/before") * 4)
    collector = collecting(log)
    assert samples(collector) == 4
    os.truncate(log, 0)
    append(log, log_line("/api/after") * 10)
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["lost"]) == (14, None)
    assert interval_counts(collector)["latency"] == 10


def test_a_short_log_that_was_truncated_and_outgrown_is_noticed_too(
    log: Path, log_line: LogLine
) -> None:
    # Opened while it was shorter than what is compared, and grown since.
    log.write_text(log_line("/a"))
    collector = collecting(log)
    assert samples(collector) == 1
    append(log, log_line("/b") * 5)
    assert samples(collector) == 6
    os.truncate(log, 0)
    append(log, log_line("/c") * 30)
    assert samples(collector) == 36


def test_what_may_be_lost_is_forgotten_with_the_requests_of_before(
    log: Path, log_line: LogLine
) -> None:
    log.write_text(log_line() * 3)
    collector = collecting(log, window=2)
    assert windows(collector)[USERS]["lost"] == 0
    os.truncate(log, 0)
    append(log, log_line())
    assert windows(collector)[USERS]["lost"] is None
    append(log, log_line(at="31/Dec/2099:23:59:58 +0000") * 2)
    assert windows(collector)[USERS]["lost"] == 0


def test_a_missing_log_says_so_and_is_read_from_its_start_once_it_appears(
    log: Path, log_line: LogLine
) -> None:
    collector = collecting(log)
    for _ in range(2):
        with pytest.raises(SampleError) as failure:
            collector.sample()
        assert failure.value.reason == "no_file"
    log.write_text(log_line() * 3)
    assert samples(collector) == 3
    assert interval_counts(collector)["latency"] == 3


def test_a_log_that_goes_away_and_comes_back_is_followed_on(log: Path, log_line: LogLine) -> None:
    log.write_text(log_line() * 2)
    collector = collecting(log)
    assert samples(collector) == 2
    log.unlink()
    with pytest.raises(SampleError) as failure:
        collector.sample()
    assert failure.value.reason == "no_file"
    log.write_text(log_line() * 3)
    assert samples(collector) == 5


def test_several_logs_are_one_stream_in_the_order_of_time(
    tmp_path: Path, log_line: LogLine
) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("".join(log_line(duration_us=us, at=_minute(us)) for us in (1, 3, 5)))
    second.write_text("".join(log_line(duration_us=us, at=_minute(us)) for us in (2, 4, 6)))
    collector = collecting(first, second, window=4)
    latency = windows(collector)[USERS]
    assert (latency["samples"], latency["p50"], latency["max"]) == (4, 0.004, 0.006)
    append(first, log_line(duration_us=8, at=_minute(8)))
    append(second, log_line(duration_us=7, at=_minute(7)))
    assert windows(collector)[USERS]["p50"] == 0.006


def _minute(minute: int) -> str:
    return f"20/Nov/2026:10:{minute:02d}:00 +0000"
