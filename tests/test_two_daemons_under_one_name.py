"""Two daemons under one name, or one that takes its commit for failed: each request once."""

from pathlib import Path
from tempfile import TemporaryDirectory

from migrations.upgrading import upgrade
from tests.support.databases import PostgresServer
from tests.support.documents import now_ms
from tests.support.faulty_postgres import in_front_of
from tests.support.logs import append
from tests.support.recorders import (
    Slots,
    Start,
    counted_users,
    lines,
    told_lost,
    tree_of,
)
from tests.support.ring_writers import Told, applications, dead_ring

pytest_plugins = ("tests.support.daemon_plugin",)


def _requests(*durations_us: int, path: str = "/api/feed") -> list[Told]:
    return [(now_ms(), duration_us, 200, path) for duration_us in durations_us]


def test_of_two_daemons_under_one_name_the_second_finds_the_tick_recorded(
    store_url: str, rings: Path, log: Path, start: Start, slots: Slots
) -> None:
    log.write_text(lines(1))
    tree = tree_of(store_url, logs=[log], rings=rings)
    one, two = start(tree), start(tree)
    assert one.tick()
    assert not two.tick()
    with applications() as started:
        application = started.start(rings)
        for number in range(6):
            append(log, lines(10 + number, 20 + number))
            application.write(_requests(1, 2, 3))
            one.drain()
            two.drain()
            slots.next()
            first, second = (one, two) if number % 2 else (two, one)
            assert first.tick()
            assert not second.tick()
    assert counted_users(store_url) == 6 * 3 + 6 * 2
    assert told_lost(store_url) == []


def test_a_daemon_that_has_missed_a_tick_counts_nothing_that_another_has_counted(
    store_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    with applications() as started:
        application = started.start(rings)
        application.write(_requests(1))
        one, two = start(tree), start(tree)
        assert one.tick()
        assert not two.tick()
        for _ in range(2):
            application.write(_requests(2, 3, 4))
            one.drain()
            two.drain()
            slots.next()
            assert one.tick()
        # It was suspended, or its store did not answer it, while the other went on.
        slots.next()
        two.tick()
        slots.next()
        two.tick()
        slots.next()
        one.tick()
    assert counted_users(store_url) == 7


def test_what_one_daemon_has_removed_is_not_forgotten_by_the_other(
    store_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    tree = tree_of(store_url, rings=rings)
    one, two = start(tree), start(tree)
    assert one.tick()
    assert not two.tick()
    dead_ring(rings, _requests(1, 2, 3))
    one.drain()
    assert list(rings.iterdir()) == [], "its records are in the state that was stored"
    dead_ring(rings, _requests(4))
    two.drain()
    slots.next()
    two.tick()
    one.tick()
    slots.next()
    two.tick()
    one.tick()
    assert counted_users(store_url) == 4
    assert told_lost(store_url) == []


def test_a_snapshot_whose_commit_seemed_to_fail_is_counted_once(
    postgres: PostgresServer, rings: Path, start: Start, slots: Slots
) -> None:
    url = postgres.new_database()
    upgrade(url)
    with TemporaryDirectory(prefix="opsnap-") as name, in_front_of(url, Path(name)) as faulty:
        daemon = start(tree_of(faulty.url, rings=rings))
        assert daemon.tick()
        dead_ring(rings, _requests(1, 2, 3))
        faulty.hide_the_next_commit()
        slots.next()
        assert not daemon.tick()
        assert counted_users(url) == 3
        dead_ring(rings, _requests(4, 5))
        # As a server that starts again: what the tick looks up first is refused, its commit not.
        faulty.refuse(1)
        for _ in range(3):
            slots.next()
            daemon.tick()
            daemon.drain()
        daemon.kill()
    assert counted_users(url) == 5
    assert told_lost(url) == []
    assert list(rings.iterdir()) == []
