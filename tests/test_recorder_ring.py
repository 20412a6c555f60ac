"""The ring file: what the recorder writes and the daemon reads, by two separate programs."""

import multiprocessing
import os
import random
import resource
import signal
import stat
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from daemon.rings.ring_file import MAGIC, RECORD_SIZE, RingError, RingFile
from recorder import ring as written_format
from recorder.recording import Recorder
from recorder.ring import RingWriter
from tests.support.held_clock import HeldClock
from tests.support.rings import RingReader
from tests.support.waiting import wait_for

_SPAWN = multiprocessing.get_context("spawn")


def _write_numbers(directory: str, first: int, last: int, slots: int, stays: bool) -> None:
    """Write requests whose path and duration both tell their number, then end or stay."""
    writer = RingWriter(directory, slots)
    for number in range(first, last + 1):
        writer.write(number * 1000, 200, b"GET", b"/%d" % number)
    Path(directory, f"written-{first}").touch()
    if stays:
        signal.pause()


def _start(
    target: Callable[..., None], *arguments: object, waits_for: Path | None = None
) -> BaseProcess:
    process = _SPAWN.Process(target=target, args=arguments, daemon=True)
    process.start()
    if waits_for is not None:
        wait_for(waits_for.exists, "the writer to have written")
    return process


def test_the_reader_and_the_writer_agree_on_the_format() -> None:
    assert (MAGIC, RECORD_SIZE) == (written_format.MAGIC, written_format.RECORD_SIZE)


def test_a_ring_is_byte_for_byte_what_its_documentation_says(tmp_path: Path) -> None:
    clock = HeldClock()
    writer = RingWriter(str(tmp_path), 3, 7, clock)
    for path in (b"/1", b"/2", b"/3", b"/" + b"x" * 99):
        assert writer.write(1_234_567, 404, b"PROPFINDS", path)
    (ring,) = tmp_path.iterdir()
    content = ring.read_bytes()
    assert len(content) == 128 + 3 * 128
    header = b"OPSNAPR1" + _numbers(4, 128, 3, os.getpid(), 0) + _numbers(8, 7)
    assert content[:128] == (header + _numbers(4, zlib.crc32(header))).ljust(128, b"\0")
    # The fourth record is where the first one was.
    fourth = _numbers(8, 4, clock(), 1_234_567) + _numbers(2, 404) + bytes([8, 88])
    fourth += b"PROPFIND" + b"/" + b"x" * 87
    assert content[128:256] == fourth + _numbers(4, zlib.crc32(fourth))
    second = _numbers(8, 2, clock(), 1_234_567) + _numbers(2, 404) + bytes([8, 2])
    second += b"PROPFIND" + b"/2".ljust(88, b"\0")
    assert content[256:384] == second + _numbers(4, zlib.crc32(second))


def _numbers(size: int, *values: int) -> bytes:
    return b"".join(value.to_bytes(size, "little") for value in values)


def test_the_reader_is_told_how_many_requests_were_missed_before_the_ring(tmp_path: Path) -> None:
    writer = RingWriter(str(tmp_path), 64, 2**40 + 1)
    (path,) = tmp_path.iterdir()
    ring = RingFile.open(path)
    assert (ring.slots, ring.missed) == (64, 2**40 + 1)
    ring.close()
    writer.abandon()


@pytest.mark.parametrize("position", [0, 9, 13, 17, 21, 30, 34])
def test_a_header_with_one_wrong_byte_is_no_header(tmp_path: Path, position: int) -> None:
    RingWriter(str(tmp_path), 64).abandon()
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    (tmp_path / "changed").write_bytes(content)
    with pytest.raises(RingError):
        RingFile.open(tmp_path / "changed")


@pytest.mark.parametrize("has_nameless_files", [True, False])
def test_a_ring_can_be_read_by_its_group_and_written_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_nameless_files: bool
) -> None:
    # Not every file system has files without a name, and not every system.
    if not has_nameless_files:
        monkeypatch.delattr(os, "O_TMPFILE")
    tmp_path.chmod(0o2770)
    writer = RingWriter(str(tmp_path), 64)
    assert writer.write(1000, 200, b"GET", b"/")
    (ring,) = tmp_path.iterdir()
    assert ring.suffix == ".ring"
    assert ring.stat().st_mode == stat.S_IFREG | 0o440
    assert ring.stat().st_gid == tmp_path.stat().st_gid


@pytest.mark.parametrize("has_nameless_files", [True, False])
def test_a_ring_that_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_nameless_files: bool
) -> None:
    if not has_nameless_files:
        monkeypatch.delattr(os, "O_TMPFILE")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            RingWriter(str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert not [fd for fd in _open_files() if str(tmp_path) in fd]


def test_a_ring_that_nobody_writes_into_any_more_is_let_go(tmp_path: Path) -> None:
    writer = RingWriter(str(tmp_path), 64)
    assert any(str(tmp_path) in fd for fd in _open_files())
    del writer
    assert not any(str(tmp_path) in fd for fd in _open_files())


def _open_files() -> list[str]:
    told = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            told.append(str(link.readlink()))
    return told


@pytest.mark.parametrize("slots", [0, -1, 2**22 + 1])
def test_a_size_that_no_reader_would_take_is_refused_at_the_start(
    tmp_path: Path, slots: int
) -> None:
    with pytest.raises(ValueError, match="slots"):
        Recorder(tmp_path, slots)


def test_every_record_of_a_living_writer_is_read_once(tmp_path: Path) -> None:
    process = _start(
        _write_numbers, str(tmp_path), 1, 700, 1024, True, waits_for=tmp_path / "written-1"
    )
    follower = RingReader(tmp_path)
    try:
        assert follower.paths() == [f"/{n}" for n in range(1, 701)]
        assert follower.paths() == []
        assert follower.lost == 0
    finally:
        process.kill()
        process.join()


def test_a_reader_that_starts_again_with_its_cursors_reads_on(tmp_path: Path) -> None:
    process = _start(
        _write_numbers, str(tmp_path), 1, 300, 1024, True, waits_for=tmp_path / "written-1"
    )
    first = RingReader(tmp_path)
    try:
        assert len(first.paths()) == 300
        name, cursor = next(iter(first.cursors().items()))
        again = RingReader(tmp_path, {name: cursor - 20})
        assert again.paths() == [f"/{n}" for n in range(281, 301)]
    finally:
        process.kill()
        process.join()


def test_records_that_were_overwritten_before_they_were_read_are_counted_as_lost(
    tmp_path: Path,
) -> None:
    process = _start(
        _write_numbers, str(tmp_path), 1, 1000, 256, True, waits_for=tmp_path / "written-1"
    )
    follower = RingReader(tmp_path)
    try:
        assert follower.paths() == [f"/{n}" for n in range(745, 1001)]
        assert follower.lost == 744
    finally:
        process.kill()
        process.join()


def test_the_ring_of_a_writer_killed_with_9_is_drained_and_then_removed(tmp_path: Path) -> None:
    process = _start(
        _write_numbers, str(tmp_path), 1, 500, 1024, True, waits_for=tmp_path / "written-1"
    )
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    follower = RingReader(tmp_path)
    assert len(follower.paths()) == 500
    assert len(list(tmp_path.glob("*.ring"))) == 1
    follower.remove_finished()
    assert list(tmp_path.glob("*.ring")) == []


def test_a_thousand_dead_rings_are_drained_whole_and_none_is_left(tmp_path: Path) -> None:
    for number in range(1000):
        writer = RingWriter(str(tmp_path), slots=64)
        writer.write(number * 1000, 200, b"GET", b"/x")
        writer.abandon()
    follower = RingReader(tmp_path)
    assert sorted(r.duration_us for r in follower.read_new()) == list(range(1000))
    follower.remove_finished()
    assert list(tmp_path.glob("*.ring")) == []


def test_a_damaged_file_is_counted_and_hides_no_other_ring(tmp_path: Path) -> None:
    (tmp_path / "1-bad.ring").write_bytes(os.urandom(5000))
    (tmp_path / "2-empty.ring").touch()
    writer = RingWriter(str(tmp_path), slots=64)
    writer.write(5_000_000, 200, b"GET", b"/ok")
    writer.abandon()
    follower = RingReader(tmp_path)
    assert [(r.duration_us, r.path) for r in follower.read_new()] == [(5000, "/ok")]
    assert follower.damaged() == ["1-bad.ring", "2-empty.ring"]
    assert follower.unknown_losses == 2


def _hammer(directory: str, slots: int, seconds: float) -> None:
    writer = RingWriter(directory, slots)
    dice = random.Random(1)
    number = 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        number += 1
        # The payload proves itself: a path of its number, as long as the number's remainder says.
        tail = b"x" * (number % 60)
        writer.write(number * 1000, 200 + number % 300, b"GET", b"/%d/" % number + tail)
        if dice.random() < 0.001:
            time.sleep(0.0005)
    Path(directory, "counting").write_text(str(number))
    Path(directory, "counting").rename(Path(directory, "count"))
    signal.pause()


@pytest.mark.parametrize("slots", [64, 16_384])
def test_two_readers_beside_a_hammering_writer_see_no_torn_record(
    tmp_path: Path, slots: int
) -> None:
    process = _start(_hammer, str(tmp_path), slots, 2.0)
    try:
        wait_for(lambda: list(tmp_path.glob("*.ring")), "a ring")
        readers = [RingReader(tmp_path), RingReader(tmp_path)]
        seen = [0, 0]
        last = [0, 0]
        is_over = False
        while not is_over:
            is_over = (tmp_path / "count").exists()
            for index, reader in enumerate(readers):
                for request in reader.read_new():
                    number = request.duration_us
                    assert request.path == f"/{number}/" + "x" * (number % 60)
                    assert request.status == 200 + number % 300
                    assert number > last[index]
                    last[index] = number
                    seen[index] += 1
        total = int((tmp_path / "count").read_text())
        for index, reader in enumerate(readers):
            assert seen[index] + reader.lost == total
    finally:
        process.kill()
        process.join()
