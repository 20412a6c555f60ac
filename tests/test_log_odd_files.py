"""A log's files that are odd: named alike, no files at all, not to be read, never let go of."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.access_log import following
from migrations.upgrading import upgrade
from tests.support.descriptors import opened_files
from tests.support.logs import append
from tests.support.other_user import without_rights
from tests.support.recorders import (
    Daemon,
    Slots,
    Start,
    counted_users,
    daemons,
    lines,
    told_lost,
    tree_of,
)

pytest_plugins = ("tests.support.daemon_plugin",)


Watch = Callable[[], Daemon]
Total = Callable[[Daemon], int]


def test_files_with_the_inodes_of_deleted_ones_are_other_files(
    log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1, 2, 3, 4))
    rotated = [log.with_name(f"access.log.{number}") for number in range(1, 31)]
    for number, path in enumerate(rotated):
        path.write_text(lines(10 * number, 10 * number + 1, 10 * number + 2, 10 * number + 3))
    daemon = watch()
    assert total(daemon) == 0
    daemon.kill()
    for path in rotated:
        path.unlink()
    # Here ext4 gives nearly all of their inodes again; a file system may also never do so.
    for number, path in enumerate(rotated):
        path.write_text(lines(*range(1000 + 10 * number, 1006 + 10 * number)))
    assert total(watch()) == 30 * 6


@pytest.mark.parametrize("rotated", ["{stem}.log.1", "{stem}-20261120.log", "{stem}.1.log"])
def test_two_logs_of_which_one_is_named_like_a_part_of_the_other_are_each_counted_once(
    sqlite_url: str, log: Path, start: Start, total: Total, rotated: str
) -> None:
    other = log.with_name("access-2.log")
    for path in (log, other):
        path.write_text(lines(1))
    tree = tree_of(sqlite_url, logs=[log, other])
    daemon = start(tree)
    assert total(daemon) == 0
    append(log, lines(2))
    append(other, lines(3, 4))
    assert total(daemon) == 3
    daemon.kill()
    append(other, lines(5, 6))
    daemon = start(tree)
    assert total(daemon) == 5
    for path in (other, log):
        path.rename(path.with_name(rotated.format(stem=path.stem)))
        path.write_text(lines(7))
    append(other, lines(8))
    assert total(daemon) == 8
    daemon.kill()
    assert total(start(tree)) == 8


def test_what_is_no_file_holds_no_descriptor_and_gives_way_to_a_file(
    log: Path, watch: Watch, total: Total
) -> None:
    # As with a link to /dev/stdout, which is a pipe in a container.
    os.mkfifo(log)
    daemon = watch()
    opened = len(opened_files())
    for _ in range(20):
        daemon.drain()
    assert len(opened_files()) == opened
    log.unlink()
    # What stands in it at the first look was written before anybody watched.
    log.write_text(lines(1, 2))
    assert total(daemon) == 0
    append(log, lines(3))
    assert total(daemon) == 1


def test_a_log_that_becomes_a_fifo_and_a_file_again_is_read_on(
    log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    daemon = watch()
    append(log, lines(2))
    log.rename(log.with_name("access.log.1"))
    os.mkfifo(log)
    assert total(daemon) == 1
    log.unlink()
    log.write_text(lines(3, 4))
    assert total(daemon) == 3


def test_a_writer_that_nobody_told_of_the_rotation_is_followed_as_long_as_it_writes(
    monkeypatch: pytest.MonkeyPatch, log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    daemon = watch()
    log.rename(log.with_name("access.log.1"))
    log.touch()
    assert total(daemon) == 0
    began = time.monotonic()
    for minutes in range(1, 6):
        append(log.with_name("access.log.1"), lines(minutes))
        monkeypatch.setattr(
            following,
            "time",
            SimpleNamespace(monotonic=lambda: began + 60 * minutes, time_ns=time.time_ns),  # noqa: B023
        )
        assert total(daemon) == minutes


def test_an_old_file_that_is_no_file_is_no_loss(
    sqlite_url: str, log: Path, watch: Watch, total: Total
) -> None:
    log.write_text(lines(1))
    log.with_name("access.log.1").mkdir()
    os.mkfifo(log.with_name("access.log.2"))
    daemon = watch()
    append(log, lines(2))
    log.rename(log.with_name("access.log.3"))
    log.write_text(lines(3))
    assert total(daemon) == 2
    assert told_lost(sqlite_url) == []


def test_a_log_that_may_not_be_read_when_the_daemon_starts_again_is_read_on_once_it_may() -> None:
    assert _as_nobody(_closed_over_a_restart) == [0, 1, 1, 3, []]


def _closed_over_a_restart(directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    log, url = directory / "access.log", f"sqlite:///{directory}/store.db"
    log.write_text(lines(1, 2))
    found: list[Any] = []
    with daemons(directory) as start:
        tree, slots = tree_of(url, logs=[log]), Slots(monkeypatch)

        def tick(daemon: Daemon) -> None:
            slots.next()
            daemon.tick()
            found.append(counted_users(url))

        first = start(tree)
        tick(first)
        append(log, lines(3))
        tick(first)
        append(log, lines(4, 5))
        log.chmod(0)
        first.kill()
        again = start(tree)
        tick(again)
        again.kill()
        again = start(tree)
        again.drain()
        log.chmod(0o600)
        tick(again)
    return [*found, told_lost(url)]


def test_what_was_there_before_the_first_look_is_never_counted_and_never_lost() -> None:
    assert _as_nobody(_closed_at_the_first_start) == [0, 0, 2, []]


def _closed_at_the_first_start(directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    log, url = directory / "access.log", f"sqlite:///{directory}/store.db"
    log.write_text(lines(1, 2))
    old = log.with_name("access.log.1")
    old.write_text(lines(10, 11, 12))
    old.chmod(0)
    log.chmod(0)
    found: list[Any] = []
    with daemons(directory) as start:
        tree, slots = tree_of(url, logs=[log]), Slots(monkeypatch)

        def tick(daemon: Daemon) -> None:
            slots.next()
            daemon.tick()
            found.append(counted_users(url))

        first = start(tree)
        tick(first)
        first.kill()
        log.chmod(0o600)
        again = start(tree)
        tick(again)
        append(log, lines(3, 4))
        tick(again)
    return [*found, told_lost(url)]


def _as_nobody(work: Callable[[Path, pytest.MonkeyPatch], list[Any]]) -> list[Any]:
    """Return what `work` returns in a directory of its own where file permissions apply."""
    with TemporaryDirectory(prefix="opsnap-nobody-") as name, pytest.MonkeyPatch.context() as patch:
        directory = Path(name) / "work"
        directory.mkdir()
        Path(name).chmod(0o755)
        # Everything is imported by having been used once.
        url = f"sqlite:///{directory}/store.db"
        upgrade(url)
        with daemons(directory) as start:
            start({**tree_of(url), "store": {"url": url, "source": "another"}}).tick()
            assert counted_users(url) == 0
        for path in (directory, *directory.iterdir()):
            path.chmod(0o777)
        result: list[Any] = without_rights(lambda: work(directory, patch))
        return result
