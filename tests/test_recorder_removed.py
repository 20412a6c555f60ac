"""A ring that is removed, renamed or damaged under its living writer: the writer goes on.

The writer is a process of its own, for a reader sees its lock only from another one.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.recording_process import RecordingProcess, recording_process
from tests.support.rings import RingReader
from tests.support.waiting import wait_for

#: The writer looks after its file every 5 s.
_LOOK_S = 5.0
#: It tries to make a ring every 10 s when it could not.
_TRY_S = 10.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "rings"
    directory.mkdir()
    return directory


@pytest.fixture
def writer(directory: Path) -> Iterator[RecordingProcess]:
    with recording_process(directory, slots=256) as process:
        yield process


def _rings(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.ring")}


def _make_anew(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.mkdir()


def _rename(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))
    directory.mkdir()


def _unlink(directory: Path) -> None:
    for ring in directory.glob("*.ring"):
        ring.unlink()


def _replace_by_a_copy(directory: Path) -> None:
    for ring in directory.glob("*.ring"):
        content = ring.read_bytes()
        ring.unlink()
        ring.write_bytes(content)


@pytest.mark.parametrize("remove", [_make_anew, _rename, _unlink, _replace_by_a_copy])
def test_a_ring_that_was_removed_is_read_to_its_end_and_another_one_follows(
    directory: Path, writer: RecordingProcess, remove: Callable[[Path], None]
) -> None:
    reader = RingReader(directory)
    writer.record("/1")
    assert reader.paths() == ["/1"]
    removed = _rings(directory)
    remove(directory)
    # Before it looks again it writes into the old one, which the reader still has.
    writer.advance(_LOOK_S - 0.1)
    writer.record("/2")
    assert reader.paths() == ["/2"]
    assert reader.position().finished == frozenset()
    writer.advance(0.2)
    writer.record("/3")
    assert reader.paths() == ["/3"]
    assert reader.position().finished == removed
    (followed_by,) = _rings(directory) - removed
    assert reader.cursors() == {**dict.fromkeys(removed, 3), followed_by: 2}
    assert reader.lost == 0


def test_a_thread_that_is_writing_while_its_ring_is_replaced_is_heard_before_the_ring_ends(
    directory: Path, writer: RecordingProcess
) -> None:
    reader = RingReader(directory)
    writer.record("/1")
    assert reader.paths() == ["/1"]
    writer.begin("/slow")
    removed = _rings(directory)
    _make_anew(directory)
    writer.advance(_LOOK_S)
    writer.record("/2")
    assert reader.paths() == ["/2"]
    assert reader.position().finished == frozenset(), "a thread is still writing into it"
    writer.finish()
    assert reader.paths() == ["/slow"]
    assert reader.position().finished == removed
    writer.record("/3")
    assert reader.paths() == ["/3"]
    assert len(_rings(directory)) == 1
    assert reader.lost == 0


def test_threads_that_notice_together_make_one_ring(
    directory: Path, writer: RecordingProcess
) -> None:
    reader = RingReader(directory)
    writer.record("/1")
    assert reader.paths() == ["/1"]
    _make_anew(directory)
    writer.advance(_LOOK_S)
    writer.begin("/slow")
    writer.record("/2")
    writer.finish()
    assert reader.paths() == ["/2", "/slow"]
    assert len(_rings(directory)) == 1


def test_while_its_directory_is_away_requests_are_missed_and_told_by_the_next_ring(
    directory: Path, writer: RecordingProcess
) -> None:
    reader = RingReader(directory)
    writer.record("/1")
    assert reader.paths() == ["/1"]
    shutil.rmtree(directory)
    writer.advance(_LOOK_S)
    for number in range(7):
        writer.record(f"/missed/{number}")
    directory.mkdir()
    writer.advance(_TRY_S - 0.1)
    writer.record("/missed/too")
    assert _rings(directory) == set()
    writer.advance(0.2)
    writer.record("/2")
    assert reader.paths() == ["/2"]
    assert reader.lost == 8


@pytest.mark.parametrize("length", [0, 200])
def test_a_ring_that_was_shortened_is_left_for_another_one(
    directory: Path, writer: RecordingProcess, length: int
) -> None:
    writer.record("/1")
    (ring,) = directory.glob("*.ring")
    ring.chmod(0o640)
    os.truncate(ring, length)
    writer.advance(_LOOK_S)
    writer.record("/2")
    ring.unlink()
    assert RingReader(directory).paths() == ["/2"]


def test_a_ring_that_lost_its_header_is_left_for_another_one(
    directory: Path, writer: RecordingProcess
) -> None:
    writer.record("/1")
    (ring,) = directory.glob("*.ring")
    ring.chmod(0o640)
    with ring.open("r+b") as file:
        file.write(bytes(20))
    writer.advance(_LOOK_S)
    writer.record("/2")
    reader = RingReader(directory)
    assert reader.paths() == ["/2"]
    assert reader.damaged() == [ring.name]


def test_a_clock_that_was_set_back_leaves_no_ring_unwatched(
    directory: Path, writer: RecordingProcess
) -> None:
    writer.record("/1")
    _make_anew(directory)
    writer.advance(-3600)
    writer.record("/2")
    assert RingReader(directory).paths() == ["/2"]


def test_threads_lose_nothing_while_their_rings_are_removed_again_and_again(
    directory: Path,
) -> None:
    reader = RingReader(directory)
    with recording_process(directory) as writer:
        writer.hammer()
        paths, missed = [], 0
        for is_away in (False, True) * 8:
            # A thread may have failed at the new time already, and wait for a later one.
            wait_for(lambda: _rings(directory) or writer.advance(_TRY_S), "a ring to remove")
            paths += reader.paths()
            shutil.rmtree(directory)
            if is_away:
                writer.advance(_LOOK_S)
                writer.record("/missed")
                missed += 1
            directory.mkdir()
            writer.advance(_TRY_S)
        writer.record("/last")
        requests = writer.rest() + missed + 1
        writer.kill()
        paths += reader.paths()
    assert len(paths) == len(set(paths))
    assert len(paths) + reader.lost == requests
    assert missed <= reader.lost < requests / 2
