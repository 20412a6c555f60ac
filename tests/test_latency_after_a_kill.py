"""A daemon that is killed, and what the next one makes of it: nothing twice, nothing forgotten."""

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import now_ms
from tests.support.recorders import (
    Slots,
    Start,
    counted,
    counted_users,
    line,
    lines,
    told_lost,
    tree_of,
)
from tests.support.records import rows
from tests.support.ring_writers import Told, applications, dead_ring
from tests.support.waiting import wait_for

pytest_plugins = ("tests.support.daemon_plugin",)


def _requests(*durations_us: int, path: str = "/api/feed", status: int = 200) -> list[Told]:
    return [(now_ms(), duration_us, status, path) for duration_us in durations_us]


def test_what_was_drained_and_not_stored_is_read_again_by_the_next_daemon(
    start: Start, store_url: str, rings: Path, log: Path, slots: Slots
) -> None:
    log.write_text(lines(1, 2, 3))
    tree = tree_of(store_url, logs=[log], rings=rings)
    with applications() as started:
        application = started.start(rings)
        first = start(tree)
        assert first.tick()
        application.write(_requests(100, 200))
        log.write_text(log.read_text() + lines(4, 5, 6))
        for _ in range(3):
            first.drain()
        first.kill()
        application.write(_requests(300))
        again = start(tree)
        assert counted_users(store_url) == 0
        slots.next()
        assert again.tick()
        assert counted_users(store_url) == 2 + 3 + 1
        slots.next()
        assert again.tick()
        assert counted_users(store_url) == 6


def test_what_a_checkpoint_has_stored_is_part_of_the_next_daemons_first_snapshot(
    start: Start, store_url: str, rings: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    first = start(tree)
    assert first.tick()
    dead_ring(rings, _requests(100, 200, 300) + _requests(7, path="/admin/x", status=500))
    first.drain()
    assert list(rings.iterdir()) == [], "it is stored, so it is removed"
    assert counted_users(store_url) == 0
    first.kill()
    again = start(tree)
    again.drain()
    slots.next()
    assert again.tick()
    slots.next()
    assert again.tick()
    assert counted(store_url) == {"latency": 3, "latency_admin": 1}
    stored = rows(
        store_url,
        "SELECT class_key, errors, min_us, max_us FROM interval_histograms WHERE count > 0"
        " ORDER BY class_key",
    )
    assert [tuple(row) for row in stored] == [("latency", 0, 100, 300), ("latency_admin", 1, 7, 7)]


def test_a_daemon_killed_before_its_very_first_snapshot_loses_no_ring_that_it_has_removed(
    start: Start, store_url: str, rings: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    first = start(tree)
    dead_ring(rings, _requests(100, 200, 300))
    first.drain()
    assert list(rings.iterdir()) == []
    first.kill()
    again = start(tree)
    assert again.tick()
    assert counted_users(store_url) == 3


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_ring_whose_end_is_stored_and_that_was_not_removed_yet_is_counted_once(
    start: Start, store_url: str, rings: Path, slots: Slots, count: int
) -> None:
    tree = tree_of(store_url, rings=rings)
    ring = dead_ring(rings, _requests(*range(100, 100 + count)), missed=4)
    first = start(tree)
    assert first.tick()
    assert ring.exists(), "it is removed when the daemon looks again, not by the tick"
    first.kill()
    again = start(tree)
    again.drain()
    assert not ring.exists()
    slots.next()
    assert again.tick()
    assert counted_users(store_url) == count
    assert told_lost(store_url) == [4]


def test_the_windows_are_whole_again_after_a_kill(
    start: Start, store_url: str, rings: Path, log: Path, slots: Slots
) -> None:
    tree = tree_of(store_url, logs=[log], rings=rings, window=50)
    log.write_text("".join(line(n, duration_us=n * 1000) for n in range(1, 31)))
    dice = random.Random(3)
    # All at one time: what was missed before them belongs to the window as long as any of them.
    at_ms = now_ms()
    requests = [
        (at_ms, dice.randrange(1, 4_000_000_000), dice.choice([200, 500]), path)
        for path in dice.choices(["/api/feed", "/watch/dQw4w9WgXcQ", "/admin/9"], k=90)
    ]
    dead_ring(rings, requests, missed=2)
    first = start(tree)
    assert first.tick()
    before = {key: first.entry(key) for key in ("latency", "latency_admin")}
    assert (before["latency"]["samples"], before["latency"]["lost"]) == (50, 2)
    assert before["latency"]["slowest_routes"]
    first.drain()
    assert list(rings.iterdir()) == [], "nothing of it can be read again"
    first.kill()
    again = start(tree)
    slots.next()
    assert again.tick()
    for key, entry in before.items():
        found = again.entry(key)
        assert entry["oldest_s"] <= found["oldest_s"] <= entry["oldest_s"] + 30
        assert {**found, "oldest_s": 0} == {**entry, "oldest_s": 0}


def test_what_came_before_the_first_look_at_a_long_log_was_over_is_counted_after_a_kill(
    sqlite_url: str, log: Path, start: Start, slots: Slots
) -> None:
    # Without a line of the other class all of it is looked through to fill that one's window.
    log.write_text(lines(*range(1000)) * 100)
    tree = tree_of(sqlite_url, logs=[log])
    tree["schedule"]["deadline_s"] = 0.1
    first = start(tree)
    collecting: Any = first.recorder._cycle.collecting
    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(first.drain)
        wait_for(collecting._draining.locked, "the first look's begin")
        assert first.tick()
        assert not looking.done(), "the log is too short to say anything"
        with log.open("a") as file:
            file.write(lines(1, 2, 3))
        looking.result()
    first.kill()
    tree["schedule"]["deadline_s"] = 10
    again = start(tree)
    slots.next()
    assert again.tick()
    assert counted_users(sqlite_url) == 3
    assert again.entry()["samples"] == 1000
    assert again.entry()["max"] == 5


def test_no_tick_waits_for_a_slow_source_because_of_a_checkpoint(
    tmp_path: Path, sqlite_url: str, rings: Path, log: Path, start: Start, slots: Slots
) -> None:
    log.touch()
    tree = tree_of(sqlite_url, logs=[log], rings=rings)
    tree["schedule"]["deadline_s"] = 0.3
    daemon = start(tree)
    assert daemon.tick()
    before = rows(sqlite_url, "SELECT state FROM latency_state")
    dead_ring(rings, _requests(1))
    collecting: Any = daemon.recorder._cycle.collecting
    store = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    with closing(store), ThreadPoolExecutor(2) as threads:
        store.execute("BEGIN IMMEDIATE")
        draining = threads.submit(daemon.drain)
        wait_for(daemon.recorder._keeping.storing.locked, "a checkpoint that waits for the store")
        log.write_text(lines(*range(1000)) * 250)
        reading = threads.submit(collecting.sample)
        wait_for(collecting._draining.locked, "the log's begin")
        store.rollback()
        wait_for(
            lambda: rows(sqlite_url, "SELECT state FROM latency_state") != before, "the checkpoint"
        )
        slots.next()
        assert daemon.tick()
        assert not reading.done(), "the tick has waited for the log"
        reading.result()
        draining.result()
    slots.next()
    assert daemon.tick()
    assert counted_users(sqlite_url) == 250_000 + 1
