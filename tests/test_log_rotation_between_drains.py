"""Whatever became of a log's files between two looks, or while nobody watched: each line once."""

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.logs import append
from tests.support.recorders import (
    Daemon,
    line,
    lines,
    told_lost,
)

pytest_plugins = ("tests.support.daemon_plugin",)


Watch = Callable[[], Daemon]
Total = Callable[[Daemon], int]

NUMBERS = ["access.log.1", "access.log.2", "access.log.3"]
DATES = ["access.log-20261120-09", "access.log-20261120-10", "access.log-20261120-11"]
DATES_INSIDE = ["access-20261118.log", "access-20261119.log", "access-20261120.log"]


def _rotate(log: Path, names: list[str], number: int) -> None:
    """Rename the log as the `number`-th rotation does: numbers go up, dates are each for good."""
    if names is NUMBERS:
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if (log.parent / newer).exists():
                (log.parent / newer).rename(log.parent / older)
        number = 0
    log.rename(log.parent / names[number])


@pytest.mark.parametrize("names", [NUMBERS, DATES, DATES_INSIDE], ids=lambda names: names[0])
@pytest.mark.parametrize("is_watched", [True, False], ids=["running", "down"])
def test_three_rotations_between_two_looks_lose_nothing(
    sqlite_url: str,
    log: Path,
    watch: Watch,
    total: Total,
    names: list[str],
    is_watched: bool,
) -> None:
    log.write_text(lines(1, 2))
    daemon = watch()
    if not is_watched:
        daemon.kill()
    append(log, lines(3))
    for number in range(3):
        _rotate(log, names, number)
        log.write_text(lines(*range(10 * number + 10, 10 * number + 12 + number)))
    if not is_watched:
        daemon = watch()
    # One line before the first rotation, then 2, 3 and 4.
    assert total(daemon) == 1 + 2 + 3 + 4
    assert told_lost(sqlite_url) == []


def test_the_one_old_file_of_a_simple_rotation_is_read_to_its_end(
    sqlite_url: str, log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    daemon = watch()
    append(log, lines(2, 3))
    log.rename(log.with_name("access.log.old"))
    log.write_text(lines(4))
    assert total(daemon) == 3
    daemon.kill()
    append(log, lines(5))
    log.rename(log.with_name("access.log.old"))
    log.write_text(lines(6))
    assert total(watch()) == 5
    # The first of them was the log until a moment ago: its writer may still have had it.
    assert told_lost(sqlite_url) == [None]


def test_files_that_are_no_part_of_the_log_are_left_alone(
    sqlite_url: str, log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    daemon = watch()
    for name in (
        "access.log.2.gz",
        "access.log.3.GZ",
        "access-20261101.log.gz",
        "access.log.4.zst",
    ):
        log.with_name(name).write_bytes(gzip.compress(lines(10, 11).encode()))
    for name in (
        "access-admin.log",
        "access.log.bak.gz",
        "access.log.bak",
        "access.log~",
        "access.logger.1",
        "error.log",
        "error.log.1",
        "my-access.log.1",
        ".access.log.1.swp",
    ):
        log.with_name(name).write_text(lines(20, 21, 22))
    append(log, lines(2))
    log.rename(log.with_name("access.log.1"))
    log.write_text(lines(3))
    assert total(daemon) == 2
    daemon.kill()
    assert total(watch()) == 2
    assert told_lost(sqlite_url) == []


def test_a_file_compressed_while_nobody_watched_is_lost_and_nobody_knows_how_much(
    sqlite_url: str, log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    watch().kill()
    append(log, lines(2, 3))
    log.with_name("access.log.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    log.write_text(lines(4))
    daemon = watch()
    assert total(daemon) == 1
    assert told_lost(sqlite_url) == [None]
    assert daemon.entry()["lost"] is None


@pytest.mark.parametrize("is_watched", [True, False], ids=["running", "down"])
def test_a_log_copied_and_truncated_is_read_on_in_the_copy(
    sqlite_url: str, log: Path, watch: Watch, total: Total, is_watched: bool
) -> None:
    log.write_text(lines(1, 2))
    daemon = watch()
    if not is_watched:
        daemon.kill()
    append(log, lines(3, 4, 5))
    shutil.copyfile(log, log.with_name("access.log.1"))
    os.truncate(log, 0)
    append(log, lines(6))
    if not is_watched:
        daemon = watch()
    assert total(daemon) == 4
    assert told_lost(sqlite_url) == [None]


@pytest.mark.parametrize("is_watched", [True, False], ids=["running", "down"])
def test_a_log_copied_and_truncated_twice_between_two_looks_is_read_on_in_both_copies(
    sqlite_url: str, log: Path, watch: Watch, total: Total, is_watched: bool
) -> None:
    log.write_text(lines(1, 2))
    daemon = watch()
    if not is_watched:
        daemon.kill()
    for number in (10, 20):
        append(log, lines(number, number + 1, number + 2))
        if log.with_name("access.log.1").exists():
            log.with_name("access.log.1").rename(log.with_name("access.log.2"))
        shutil.copyfile(log, log.with_name("access.log.1"))
        os.truncate(log, 0)
    append(log, lines(30))
    if not is_watched:
        daemon = watch()
    assert total(daemon) == 3 + 3 + 1
    assert None in told_lost(sqlite_url)


@pytest.mark.parametrize("is_watched", [True, False], ids=["running", "down"])
def test_files_that_all_begin_alike_are_told_apart(
    sqlite_url: str, log: Path, watch: Watch, total: Total, is_watched: bool
) -> None:
    same = line(7)
    log.write_text(same * 4)
    daemon = watch()
    expected = 0
    for count in (6, 1, 9):
        if not is_watched:
            daemon.kill()
        for number in (1, 2):
            append(log, same * count)
            expected += count
            for older in range(9, 0, -1):
                if log.with_name(f"access.log.{older}").exists():
                    log.with_name(f"access.log.{older}").rename(
                        log.with_name(f"access.log.{older + 1}")
                    )
            log.rename(log.with_name("access.log.1"))
            log.write_text(same * number)
            expected += number
        if not is_watched:
            daemon = watch()
        assert total(daemon) == expected
    assert told_lost(sqlite_url) == []


@pytest.mark.parametrize("is_watched", [True, False], ids=["running", "down"])
def test_an_empty_log_that_is_rotated_changes_nothing(
    sqlite_url: str, log: Path, watch: Watch, total: Total, is_watched: bool
) -> None:
    log.touch()
    daemon = watch()
    if not is_watched:
        daemon.kill()
    log.rename(log.with_name("access.log.1"))
    log.touch()
    if not is_watched:
        daemon = watch()
    assert total(daemon) == 0
    append(log, lines(1))
    append(log.with_name("access.log.1"), lines(2))
    assert total(daemon) == 2
    assert told_lost(sqlite_url) == []


def test_a_log_that_appears_later_is_read_from_its_start_once(
    sqlite_url: str, log: Path, watch: Watch, total: Total
) -> None:
    daemon = watch()
    assert total(daemon) == 0
    daemon.kill()
    daemon = watch()
    log.write_text(lines(1, 2))
    assert total(daemon) == 2
    daemon.kill()
    assert total(watch()) == 2
    assert told_lost(sqlite_url) == []


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_logs_on_a_volume_that_was_not_there_are_counted_once_when_it_is_back(
    sqlite_url: str, log: Path, watch: Watch, total: Total, restarts: int
) -> None:
    log.with_name("access.log.1").write_text(lines(1, 2))
    log.write_text(lines(3))
    daemon = watch()
    append(log, lines(4))
    assert total(daemon) == 1
    elsewhere = log.parent.with_name("elsewhere")
    for _ in range(restarts):
        daemon.kill()
        if not elsewhere.exists():
            log.parent.rename(elsewhere)
        daemon = watch()
        assert total(daemon) == 1
    if not elsewhere.exists():
        log.parent.rename(elsewhere)
        assert total(daemon) == 1
    append(elsewhere / log.name, lines(5, 6))
    elsewhere.rename(log.parent)
    assert total(daemon) == 3
    assert told_lost(sqlite_url) == []
