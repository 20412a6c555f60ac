"""What cannot be counted is told: how many, or that nobody can know; and not for ever."""

import os
import signal
from pathlib import Path

import pytest

from config.latency import LatencyClass
from daemon.latency.window import Window
from daemon.requests import Batch, Loss, Request
from recorder.ring import RECORD_SIZE
from tests.support.descriptors import few_more_files, opened_files
from tests.support.documents import now_ms
from tests.support.recorders import (
    Slots,
    Start,
    counted_users,
    told_lost,
    tree_of,
)
from tests.support.ring_writers import Applications, Told, dead_ring
from tests.support.rings import RingReader

pytest_plugins = ("tests.support.daemon_plugin",)


def _requests(count: int, first_us: int = 1, path: str = "/api/feed") -> list[Told]:
    return [(now_ms(), first_us + number, 200, path) for number in range(count)]


def test_what_was_overwritten_is_told_exactly_until_the_window_has_moved_beyond_it(
    store_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    daemon = start(tree_of(store_url, rings=rings, window=20))
    application = running.start(rings, slots=16)
    application.write(_requests(10))
    assert daemon.tick()
    assert (daemon.entry()["samples"], daemon.entry()["lost"]) == (10, 0)
    # 16 of 50 are left.
    application.write(_requests(50))
    slots.next()
    assert daemon.tick()
    assert daemon.entry()["lost"] == daemon.entry("latency_admin")["lost"] == 34
    daemon.kill()
    daemon = start(tree_of(store_url, rings=rings, window=20))
    later = [(now_ms() + 60_000, 1, 200, "/api/feed")] * 10
    application.write(later)
    slots.next()
    assert daemon.tick()
    # Some of the twenty last ones ended with the sixteen that were left.
    assert (daemon.entry()["samples"], daemon.entry()["lost"]) == (20, 34)
    application.write(later)
    slots.next()
    assert daemon.tick()
    assert (daemon.entry()["samples"], daemon.entry()["lost"]) == (20, 0)
    assert counted_users(store_url) == 10 + 16 + 10 + 10
    assert told_lost(store_url) == [34]


def test_what_is_overwritten_while_the_daemon_is_down_is_told_exactly(
    store_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    daemon = start(tree)
    lives, dies = running.start(rings, slots=16), running.start(rings, slots=16)
    for application in (lives, dies):
        application.write(_requests(7))
    assert daemon.tick()
    daemon.kill()
    lives.write(_requests(16))
    dies.write(_requests(43))
    running.kill(dies)
    daemon = start(tree)
    slots.next()
    assert daemon.tick()
    assert counted_users(store_url) == 7 + 7 + 16 + 16
    assert told_lost(store_url) == [27]


def test_what_an_application_could_not_record_is_told_once_over_restarts(
    store_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    application = running.start(rings, missed=6)
    application.write(_requests(1))
    dead_ring(rings, _requests(2), missed=5)
    for _ in range(3):
        daemon = start(tree_of(store_url, rings=rings))
        daemon.drain()
        daemon.kill()
    for _ in range(3):
        daemon = start(tree_of(store_url, rings=rings))
        slots.next()
        assert daemon.tick()
        daemon.kill()
        application.write(_requests(1))
    assert told_lost(store_url) == [11]
    assert counted_users(store_url) == 1 + 2 + 2


def test_a_damaged_ring_is_an_unknown_loss_that_is_named_and_harms_no_other(
    store_url: str,
    rings: Path,
    start: Start,
    running: Applications,
    slots: Slots,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running.start(rings).write(_requests(3))
    damaged = dead_ring(rings, _requests(5))
    damaged.chmod(0o600)
    with damaged.open("r+b") as ring:
        ring.seek(9)
        ring.write(b"\xff\xff")
    daemon = start(tree_of(store_url, rings=rings))
    for _ in range(3):
        slots.next()
        assert daemon.tick()
    assert counted_users(store_url) == 3
    assert told_lost(store_url) == [None]
    assert daemon.entry()["lost"] is None
    told = [r.message for r in caplog.records if damaged.name in r.message]
    assert len(told) == 1
    assert "unreadable" in told[0]
    assert damaged.exists(), "it is the operator's to look at"


def test_records_behind_a_damaged_part_of_a_dead_ring_are_counted_or_told_to_be_lost(
    sqlite_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    ring = dead_ring(rings, _requests(900), slots=1024)
    ring.chmod(0o600)
    with ring.open("r+b") as file:
        file.seek(RECORD_SIZE * (1 + 100))
        file.write(os.urandom(RECORD_SIZE * 300))
    daemon = start(tree_of(sqlite_url, rings=rings))
    for _ in range(2):
        slots.next()
        assert daemon.tick()
    lost = told_lost(sqlite_url)
    assert (counted_users(sqlite_url), lost) in [(600, [300]), (600, [None]), (100, [None])]


def test_a_ring_of_a_single_slot_is_drained_and_removed(rings: Path) -> None:
    dead_ring(rings, _requests(3), slots=1)
    reader = RingReader(rings)
    assert [request.duration_us for request in reader.read_new()] == [3]
    assert reader.lost == 2
    reader.remove_finished()
    assert list(rings.iterdir()) == []


def test_rings_that_cannot_be_removed_are_counted_once_named_and_removed_when_they_can(
    sqlite_url: str, rings: Path, start: Start, slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    dead_ring(rings, _requests(3))
    elsewhere = rings.with_name("elsewhere")
    daemon = start(tree_of(sqlite_url, rings=rings))
    daemon.recorder.tick()
    # A directory in the place of the file is what root cannot remove either.
    (ring,) = rings.iterdir()
    ring.rename(elsewhere)
    ring.mkdir()
    for _ in range(3):
        slots.next()
        assert daemon.tick()
    assert any(ring.name in record.message for record in caplog.records)
    ring.rmdir()
    elsewhere.rename(ring)
    slots.next()
    assert daemon.tick()
    daemon.drain()
    assert list(rings.iterdir()) == []
    slots.next()
    assert daemon.tick()
    assert counted_users(sqlite_url) == 3
    assert told_lost(sqlite_url) == []


def test_a_directory_of_rings_that_is_away_over_restarts_is_counted_once_when_it_is_back(
    sqlite_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    tree = tree_of(sqlite_url, rings=rings)
    application = running.start(rings)
    application.write(_requests(5))
    daemon = start(tree)
    assert daemon.tick()
    rings.rename(rings.with_name("away"))
    for _ in range(3):
        slots.next()
        daemon.tick()
        daemon.kill()
        daemon = start(tree)
    application.write(_requests(2))
    slots.next()
    daemon.tick()
    rings.with_name("away").rename(rings)
    for _ in range(2):
        slots.next()
        assert daemon.tick()
    assert counted_users(sqlite_url) == 7
    assert told_lost(sqlite_url) == []


def test_what_stands_in_open_rings_is_counted_although_their_directory_is_gone(
    sqlite_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    application = running.start(rings)
    application.write(_requests(5))
    daemon = start(tree_of(sqlite_url, rings=rings))
    assert daemon.tick()
    application.write(_requests(3))
    for path in (*rings.iterdir(), rings):
        path.unlink() if path.is_file() else path.rmdir()
    slots.next()
    daemon.tick()
    assert counted_users(sqlite_url) == 8


def test_a_ring_that_has_gone_while_nobody_watched_is_an_unknown_loss(
    sqlite_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    tree = tree_of(sqlite_url, rings=rings)
    application = running.start(rings)
    application.write(_requests(5))
    daemon = start(tree)
    assert daemon.tick()
    daemon.kill()
    # As a reboot does it, and whatever tidies a directory up.
    application.write(_requests(4))
    for ring in rings.iterdir():
        ring.unlink()
    daemon = start(tree)
    for _ in range(2):
        slots.next()
        assert daemon.tick()
    assert counted_users(sqlite_url) == 5
    assert told_lost(sqlite_url) == [None]


def test_a_ring_that_this_daemon_has_removed_is_no_loss_after_a_kill(
    sqlite_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    tree = tree_of(sqlite_url, rings=rings)
    dead_ring(rings, _requests(5))
    daemon = start(tree)
    assert daemon.tick()
    daemon.drain()
    assert list(rings.iterdir()) == []
    daemon.kill()
    daemon = start(tree)
    slots.next()
    assert daemon.tick()
    assert counted_users(sqlite_url) == 5
    assert told_lost(sqlite_url) == []


def test_more_dead_rings_than_may_be_open_at_once_are_all_drained_and_removed(
    sqlite_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    for number in range(100):
        dead_ring(rings, _requests(2, 2 * number + 1), slots=16)
    daemon = start(tree_of(sqlite_url, rings=rings))
    opened = opened_files()
    with few_more_files(40):
        for _ in range(5):
            slots.next()
            assert daemon.tick()
    assert list(rings.iterdir()) == []
    assert counted_users(sqlite_url) == 200
    assert told_lost(sqlite_url) == []
    assert len(opened_files() - opened) < 5


def test_a_stopped_writer_is_no_dead_one(
    sqlite_url: str, rings: Path, start: Start, running: Applications, slots: Slots
) -> None:
    application = running.start(rings)
    application.write(_requests(3))
    os.kill(application.pid, signal.SIGSTOP)
    daemon = start(tree_of(sqlite_url, rings=rings))
    for _ in range(3):
        assert daemon.tick()
        daemon.drain()
        slots.next()
    os.kill(application.pid, signal.SIGCONT)
    application.write(_requests(2))
    assert daemon.tick()
    assert len(list(rings.iterdir())) == 1
    assert counted_users(sqlite_url) == 5


def test_a_window_has_the_last_requests_once_each_whichever_source_was_read_first() -> None:
    rules = LatencyClass(key="latency", title="t", window=8)
    window = Window(rules)
    window.add([_ended(at) for at in (10, 20, 40)])
    window.add([_ended(at) for at in (15, 30, 50)])
    assert [one.ended_at_ms for one in window.requests] == [10, 15, 20, 30, 40, 50]
    window.add([_ended(at) for at in (5, 12, 35, 45)])
    assert [one.ended_at_ms for one in window.requests] == [12, 15, 20, 30, 35, 40, 45, 50]
    window.add([_ended(1)])
    assert [one.ended_at_ms for one in window.requests] == [12, 15, 20, 30, 35, 40, 45, 50]


@pytest.mark.parametrize(("window", "samples", "median_ms"), [(12, 12, 14), (1000, 20, 10)])
def test_sources_that_are_read_one_after_the_other_fill_one_window_in_the_order_of_time(
    sqlite_url: str,
    rings: Path,
    start: Start,
    running: Applications,
    slots: Slots,
    window: int,
    samples: int,
    median_ms: float,
) -> None:
    daemon = start(tree_of(sqlite_url, rings=rings, window=window))
    first, second = running.start(rings), running.start(rings)
    assert daemon.tick()
    at_ms = now_ms()
    for application, offsets in ((first, range(0, 20, 2)), (second, range(1, 20, 2))):
        application.write([(at_ms + n, 1000 * n + 1000, 200, "/api") for n in offsets])
        daemon.drain()
    slots.next()
    assert daemon.tick()
    entry = daemon.entry()
    # They took 1 to 20 ms; the twelve that ended last 9 to 20 ms.
    assert (entry["samples"], entry["max"]) == (samples, 20)
    assert entry["p50"] == pytest.approx(median_ms, rel=1e-3)


def test_losses_are_forgotten_with_the_requests_of_their_time_and_never_before() -> None:
    window = Window(LatencyClass(key="latency", title="t", window=3))
    window.add([_ended(at) for at in (1_000, 2_000, 3_000)])
    window.note(Batch([], [Loss(1_500, 7), Loss(2_500, None)]))
    assert window.describe()["lost"] is None
    window.add([_ended(4_000), _ended(5_000)])
    assert window.describe()["lost"] == 0


def _ended(at_ms: int) -> Request:
    return Request(at_ms, 1000, 200, "/api/feed")
