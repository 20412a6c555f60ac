"""Whatever is wrong where the recorder writes: the application's responses stay as they are."""

import errno
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder import LatencyRecorder
from recorder.placing import MOST_RINGS
from recorder.recording import Recorder
from tests.support.held_clock import HeldClock
from tests.support.other_user import without_rights
from tests.support.rings import RingReader
from tests.support.skipping import skip_unless_ci
from tests.support.wsgi_calls import HELLO, call, environ_of, hello

_ROOT = Path(__file__).parents[1]
#: After a failure the recorder tries again every 10 s.
_TRY_S = 10.0


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "opsnap_recorder")
    return caplog


def _levels(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in log.records]


def _missing(directory: Path) -> Path:
    return directory / "not-there"


def _a_file(directory: Path) -> Path:
    (directory / "file").write_text("not a directory")
    return directory / "file"


def _of_the_kernel(_directory: Path) -> Path:
    return Path("/proc/self")  # takes no file, from root neither


def _too_long(directory: Path) -> Path:
    return directory / ("x" * 300)


@pytest.mark.parametrize("place", [_missing, _a_file, _of_the_kernel, _too_long])
def test_a_directory_that_takes_no_ring_costs_one_warning_and_no_response(
    tmp_path: Path, log: pytest.LogCaptureFixture, place: Callable[[Path], Path]
) -> None:
    clock = HeldClock()
    app = LatencyRecorder(hello, place(tmp_path), now_ns=clock)
    for _ in range(20):
        assert call(app) == HELLO
        clock.advance(_TRY_S / 2)
    assert _levels(log) == ["WARNING"]
    assert "not recorded" in log.text


def test_a_directory_that_is_made_later_is_tried_every_10_s_and_told_what_was_missed(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    clock = HeldClock()
    directory = tmp_path / "made-later"
    app = LatencyRecorder(hello, directory, now_ns=clock)
    assert [call(app, environ_of(f"/{n}")) for n in range(3)] == [HELLO] * 3
    directory.mkdir()
    clock.advance(_TRY_S - 0.1)
    assert call(app, environ_of("/3")) == HELLO
    assert list(directory.iterdir()) == []
    clock.advance(0.2)
    assert [call(app, environ_of(f"/{n}")) for n in (4, 5)] == [HELLO] * 2
    reader = RingReader(directory)
    assert reader.paths() == ["/4", "/5"]
    assert reader.lost == 4
    assert _levels(log) == ["WARNING", "INFO"]
    assert "4 were missed" in log.records[1].getMessage()


def test_a_second_trouble_is_told_again_and_its_missed_requests_are_no_older_ones(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    clock = HeldClock()
    directory = tmp_path / "rings"
    recorder = Recorder(directory, now_ns=clock)
    for missed in (3, 5):
        for _ in range(missed):
            recorder.record(1_000_000, 200, "GET", "/missed")
        directory.mkdir()
        clock.advance(_TRY_S)
        recorder.record(1_000_000, 200, "GET", f"/after/{missed}")
        reader = RingReader(directory)
        assert reader.paths() == [f"/after/{missed}"]
        assert reader.lost == missed
        for ring in directory.iterdir():
            ring.unlink()
        directory.rmdir()
        clock.advance(_TRY_S)
    assert _levels(log) == ["WARNING", "INFO"] * 2


def test_a_log_that_fails_as_well_harms_no_response_and_no_record(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    class Failing(logging.Handler):
        def handle(self, _record: logging.LogRecord) -> bool:
            raise OSError(errno.ENOSPC, "the log is full")

    handler = Failing()
    logger = logging.getLogger("opsnap_recorder")
    logger.addHandler(handler)
    clock = HeldClock()
    app = LatencyRecorder(hello, tmp_path / "made-later", now_ns=clock)
    try:
        assert call(app) == HELLO
        (tmp_path / "made-later").mkdir()
        clock.advance(_TRY_S)
        assert call(app, environ_of("/mended")) == HELLO
    finally:
        logger.removeHandler(handler)
    reader = RingReader(tmp_path / "made-later")
    assert reader.paths() == ["/mended"]
    assert reader.lost == 1


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach and write into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_a_read_only_directory_is_recorded_into_when_that_is_mended(open_directory: Path) -> None:
    directory, clock = open_directory / "rings", HeldClock()

    def as_another_user() -> list[Any]:
        directory.mkdir(0o555)
        app = LatencyRecorder(hello, directory, now_ns=clock)
        harmed = [call(app) != HELLO for _ in range(3)]
        found = len(list(directory.iterdir()))
        directory.chmod(0o755)
        clock.advance(_TRY_S)
        return [*harmed, found, call(app, environ_of("/mended")) != HELLO]

    assert without_rights(as_another_user) == [False, False, False, 0, False]
    reader = RingReader(directory)
    assert reader.paths() == ["/mended"]
    assert reader.lost == 3


def test_a_directory_of_another_owner_costs_no_response() -> None:
    def as_another_user() -> list[bool]:
        return [call(LatencyRecorder(hello, "/usr")) == HELLO for _ in range(3)]

    assert without_rights(as_another_user) == [True] * 3


def test_not_even_the_writers_own_user_can_shorten_a_ring_under_it(open_directory: Path) -> None:
    # The kernel would kill the application at its next request.
    def as_another_user() -> str:
        app = LatencyRecorder(hello, open_directory)
        call(app)
        (ring,) = open_directory.glob("*.ring")
        try:
            os.truncate(ring, 0)
        except PermissionError:
            return "denied"
        return "done"

    assert without_rights(as_another_user) == "denied"


def _on_a_disk_of_its_own(directory: Path, size: str, script: str) -> Any:
    """Return what `script` prints as JSON, run where `directory` is a tmpfs of that size."""
    command = ["unshare", "--mount"] + ["--map-root-user"] * (os.geteuid() != 0)
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        skip_unless_ci("this user may mount nothing")
    mounted = f'mount -t tmpfs -o size={size} none "$1" && exec "$0" -c "$2" "$1"'
    ended = subprocess.run(
        [*command, "sh", "-c", mounted, sys.executable, str(directory), script],
        cwd=_ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(ended.stdout)


def test_a_full_disk_costs_no_response_and_is_recorded_on_when_it_has_room(tmp_path: Path) -> None:
    # A ring of the usual size takes 2 MB.
    told = _on_a_disk_of_its_own(
        tmp_path,
        "1m",
        """
import json, os, subprocess, sys
from pathlib import Path
from recorder import LatencyRecorder
from tests.support.held_clock import HeldClock
from tests.support.rings import RingReader
from tests.support.wsgi_calls import HELLO, call, environ_of, hello
directory, clock = Path(sys.argv[1]), HeldClock()
app = LatencyRecorder(hello, directory, now_ns=clock)
answers = [call(app) == HELLO for _ in range(4)]
left_over = len(os.listdir(directory))
subprocess.run(["mount", "-o", "remount,size=8m", directory], check=True)
clock.advance(10)
answers.append(call(app, environ_of("/mended")) == HELLO)
reader = RingReader(directory)
print(json.dumps([answers, left_over, reader.paths(), reader.lost]))
""",
    )
    assert told == [[True] * 5, 0, ["/mended"], 4]


def test_rings_that_nobody_removes_never_take_more_than_half_of_the_room(tmp_path: Path) -> None:
    # As when opsnap is away and workers are recycled. Two rings of 2 MB are half of 8 MB.
    rings, free, answers = _on_a_disk_of_its_own(
        tmp_path,
        "8m",
        """
import json, os, sys
from recorder import LatencyRecorder
from tests.support.wsgi_calls import HELLO, call, hello
answers = [call(LatencyRecorder(hello, sys.argv[1])) == HELLO for _ in range(6)]
room = os.statvfs(sys.argv[1])
print(json.dumps([len(os.listdir(sys.argv[1])), room.f_bavail / room.f_blocks, answers]))
""",
    )
    assert rings == 2
    assert 0.49 < free < 0.51
    assert answers == [True] * 6


def test_where_nothing_is_mounted_at_proc_a_ring_is_made_all_the_same(tmp_path: Path) -> None:
    # As in a bare chroot. There a file cannot be made without a name at first.
    names, paths, is_harmless = _on_a_disk_of_its_own(
        tmp_path,
        "16m",
        """
import json, os, subprocess, sys
from pathlib import Path
from recorder import LatencyRecorder
from tests.support.rings import RingReader
from tests.support.wsgi_calls import HELLO, call, environ_of, hello
subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
is_harmless = call(LatencyRecorder(hello, sys.argv[1]), environ_of("/chroot")) == HELLO
paths = RingReader(Path(sys.argv[1])).paths()
print(json.dumps([[name[0] for name in os.listdir(sys.argv[1])], paths, is_harmless]))
""",
    )
    assert [name.isdigit() for name in names] == [True]
    assert paths == ["/chroot"]
    assert is_harmless


def test_a_request_that_ends_while_another_one_makes_the_ring_does_not_wait_for_it(
    tmp_path: Path,
) -> None:
    # As when garbage is collected just then: the response that it closes is of the same thread.
    ended_within: list[str] = []

    def now_ns() -> int:
        if not ended_within:
            ended_within.append("/within")
            recorder.record(1_000_000, 200, "GET", "/within")
        return time.time_ns()

    recorder = Recorder(tmp_path, now_ns=now_ns)
    recorder.record(1_000_000, 200, "GET", "/around")
    assert sorted(RingReader(tmp_path).paths()) == ["/around", "/within"]


def test_there_are_never_more_than_a_thousand_rings_or_so(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    for number in range(MOST_RINGS - 1):
        (tmp_path / f"{number}.ring").touch()
    for _ in range(3):
        assert call(LatencyRecorder(hello, tmp_path, slots=64)) == HELLO
    assert len(list(tmp_path.iterdir())) == MOST_RINGS == 1024
    assert _levels(log) == ["WARNING"] * 2
    assert "does opsnap read and remove them?" in log.text


def test_records_that_are_damaged_while_it_writes_harm_neither_side(tmp_path: Path) -> None:
    app = LatencyRecorder(hello, tmp_path, slots=64)
    for number in range(10):
        call(app, environ_of(f"/{number}"))
    (ring,) = tmp_path.glob("*.ring")
    ring.chmod(0o640)
    with ring.open("r+b") as file:
        file.seek(128 * 4)
        file.write(os.urandom(128 * 2))
    assert call(app, environ_of("/10")) == HELLO
    assert RingReader(tmp_path).paths() == [f"/{n}" for n in range(11) if n not in (3, 4)]
