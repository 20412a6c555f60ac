"""The recorder under threads and forks, and when its process is killed: each request once."""

import subprocess
import sys
import threading
from pathlib import Path

from recorder.recording import Recorder
from tests.support.recording_process import recording_process
from tests.support.rings import RingReader

_ROOT = Path(__file__).parents[1]


def _run(script: str, *arguments: str | Path) -> str:
    """Run `script` in a process of its own: to fork this one, with its threads, is a risk."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, cwd=_ROOT, check=True, text=True, stdout=subprocess.PIPE, timeout=60
    ).stdout


def test_threads_record_every_request_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, slots=8192)
    together = threading.Barrier(8)

    def work(name: int) -> None:
        together.wait()
        for number in range(500):
            recorder.record(1_000_000, 200, "GET", f"/{name}/{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 1
    paths = RingReader(tmp_path).paths()
    assert len(paths) == 4000
    assert set(paths) == {f"/{name}/{number}" for name in range(8) for number in range(500)}


def test_a_fork_gives_parent_and_child_a_ring_each_and_the_childs_end_ends_the_childs(
    tmp_path: Path,
) -> None:
    script = """
import os, sys
from recorder.recording import Recorder
recorder = Recorder(sys.argv[1])
recorder.record(1_000_000, 200, "GET", "/before")
pid = os.fork()
for number in range(50):
    recorder.record(1_000_000, 200, "GET", f"/{'child' if pid == 0 else 'parent'}/{number}")
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
recorder.record(1_000_000, 200, "GET", "/after")
sys.stdout.write("ready")
sys.stdout.flush()
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        reader = RingReader(tmp_path)
        paths = reader.paths()
        (finished,) = reader.position().finished
        assert not finished.startswith(f"{process.pid}-")
        process.kill()
    expected = {
        "/before",
        "/after",
        *(f"/{who}/{n}" for who in ("child", "parent") for n in range(50)),
    }
    assert len(paths) == len(expected)
    assert set(paths) == expected


def test_a_fork_in_the_middle_of_a_request_leaves_its_response_and_its_record_alone(
    tmp_path: Path,
) -> None:
    # The first child ends as a helper of the application does. The second is a whole request of
    # its own, as in a server that forks for each; its parent's one goes on beside it.
    script = """
import os, sys
from recorder import LatencyRecorder
from tests.support.wsgi_calls import call, environ_of
def app(environ, start_response):
    for status in (0, 7):
        pid = os.fork()
        if pid == 0 and status == 0:
            os._exit(0)
        if pid == 0:
            start_response("207 Child", [])
            return [b"child"]
        os.waitpid(pid, 0)
    start_response("200 OK", [])
    return [b"parent"]
pid = os.getpid()
recording = LatencyRecorder(app, sys.argv[1])
call(LatencyRecorder(lambda e, s: [s("204 Before", [])] and [], sys.argv[1]), environ_of("/before"))
print(*call(recording, environ_of("/forks")), flush=True)
if os.getpid() != pid:
    os._exit(0)
print(*call(recording, environ_of("/forks/again")), flush=True)
if os.getpid() != pid:
    os._exit(0)
"""
    told = _run(script, tmp_path).splitlines()
    assert told == ["207 Child b'child'", "200 OK b'parent'"] * 2
    recorded = sorted((r.path, r.status) for r in RingReader(tmp_path).read_new())
    forked = [("/forks", 200), ("/forks", 207), ("/forks/again", 200), ("/forks/again", 207)]
    assert recorded == [("/before", 204), *forked]


def test_a_child_lets_go_of_its_parents_ring_also_when_a_thread_was_writing_into_it(
    tmp_path: Path,
) -> None:
    script = """
import os, sys, threading
from pathlib import Path
from recorder.recording import Recorder
from tests.support.held_clock import HeldClock
def open_rings():
    with open("/proc/self/maps") as maps:
        mapped = sum(sys.argv[1] in line for line in maps)
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return mapped, sum(sys.argv[1] in os.readlink(link) for link in links if os.path.exists(link))
clock = HeldClock()
recorder = Recorder(sys.argv[1], now_ns=clock)
recorder.record(1_000_000, 200, "GET", "/1")
thread = threading.Thread(target=recorder.record, args=(1_000_000, 200, "GET", "/2"), name="held")
thread.start()
clock.wait_until_held()
pid = os.fork()
if pid == 0:
    print("child", *open_rings(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
clock.let_go()
thread.join()
print("parent", *open_rings())
"""
    # A map has a descriptor of its own.
    assert _run(script, tmp_path).splitlines() == ["child 0 0", "parent 1 2"]
    assert RingReader(tmp_path).paths() == ["/1", "/2"]


def test_a_worker_killed_with_9_loses_nothing_that_it_recorded(tmp_path: Path) -> None:
    with recording_process(tmp_path) as process:
        for number in range(300):
            process.record(f"/{number}")
        process.kill()
    reader = RingReader(tmp_path)
    assert reader.paths() == [f"/{number}" for number in range(300)]
    assert len(reader.position().finished) == 1


def test_workers_killed_with_9_while_they_make_their_ring_leave_none_that_is_half_made(
    tmp_path: Path,
) -> None:
    # Each worker is killed a little later than the one before it, from its first step to well
    # after its first request.
    script = """
import os, signal, sys, time
from recorder.recording import Recorder
recorder = Recorder(sys.argv[1])
for step in range(60):
    pid = os.fork()
    if pid == 0:
        while True:
            recorder.record(1_000_000, 200, "GET", "/")
    time.sleep(step / 20_000)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""
    _run(script, tmp_path)
    reader = RingReader(tmp_path)
    assert set(reader.paths()) == {"/"}
    assert reader.damaged() == []
    reader.remove_finished()
    assert list(tmp_path.iterdir()) == []


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    script = (
        "import sys; before = set(sys.modules); import recorder; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before} "
        "- set(sys.stdlib_module_names) - {'recorder'}))"
    )
    assert _run(script).strip() == "[]"
