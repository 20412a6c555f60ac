"""Changes of status, written with the snapshot that brought them, and the incidents they make."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from store.codec import encode
from store.engines import open_reader, open_writer
from store.history.asking import Period
from store.history.incidents import Incident, incidents
from store.writing import Snapshot, TickAlreadyRecordedError, add_all, commit
from tests.support.records import rows

START_MS = 1_795_132_800_000  # 2026-11-20T00:00:00Z
INTERVAL_MS = 30_000
Node = tuple[str, str | None]


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    yield engine
    engine.dispose()


def _at(slot: int) -> int:
    return START_MS + slot * INTERVAL_MS


def _snapshot(slot: int, queue: str = "ok", **nodes: Node) -> Snapshot:
    document: dict[str, Any] = {
        "interval_s": 30,
        "nodes": [
            {"id": name, "status": status, "reason": reason}
            for name, (status, reason) in nodes.items()
        ],
        "sections": {"queue": {"status": queue, "reason": None if queue == "ok" else "locked"}},
    }
    return Snapshot("one", _at(slot), INTERVAL_MS, encode(document), {})


def _changes(url: str) -> list[tuple[Any, ...]]:
    found = rows(
        url,
        "SELECT taken_at, kind, name, from_status, to_status, reason, previous_at"
        " FROM status_changes ORDER BY taken_at, kind, name",
    )
    return [((row[0] - START_MS) // INTERVAL_MS, *row[1:]) for row in found]


def _incidents(url: str, start_slot: int, end_slot: int) -> list[Incident]:
    reader = open_reader(url)
    try:
        with reader.connect() as connection:
            return incidents(connection, "one", Period(_at(start_slot), _at(end_slot)))
    finally:
        reader.dispose()


def test_only_what_changed_is_written_and_what_it_was_before(
    store_url: str, writer: Engine
) -> None:
    commit(writer, _snapshot(0, a=("ok", None), b=("warn", None)))
    commit(writer, _snapshot(1, a=("ok", None), b=("err", "timeout")))
    commit(writer, _snapshot(2, "stale", a=("ok", None), b=("err", "refused")))
    commit(writer, _snapshot(5, a=("ok", None)))
    assert _changes(store_url) == [
        (0, "node", "a", None, "ok", None, None),
        (0, "node", "b", None, "warn", None, None),
        (0, "section", "queue", None, "ok", None, None),
        (1, "node", "b", "warn", "err", "timeout", _at(0)),
        (2, "section", "queue", "ok", "stale", "locked", _at(1)),
        (5, "node", "b", "err", None, None, _at(2)),
        (5, "section", "queue", "stale", "ok", None, _at(2)),
    ]


def test_a_snapshot_that_is_not_stored_leaves_no_change(store_url: str, writer: Engine) -> None:
    commit(writer, _snapshot(3, a=("ok", None)))
    before = _changes(store_url)
    for late in (3, 2):
        with pytest.raises(TickAlreadyRecordedError):
            commit(writer, _snapshot(late, a=("err", "timeout")))
    assert _changes(store_url) == before


def test_many_at_once_are_written_as_one_by_one(store_url: str, writer: Engine) -> None:
    taken = [
        _snapshot(slot, a=("err", "timeout") if slot % 3 == 0 else ("ok", None))
        for slot in range(8)
    ]
    with writer.begin() as connection:
        add_all(connection, taken[:3])
    with writer.begin() as connection:
        add_all(connection, taken[3:])
    assert [change[0] for change in _changes(store_url)] == [0, 0, 1, 3, 4, 6, 7]
    newest = rows(store_url, "SELECT newest_taken_at FROM sources")
    assert newest[0][0] == _at(7)
    with pytest.raises(TickAlreadyRecordedError), writer.begin() as connection:
        add_all(connection, [_snapshot(8), _snapshot(8)])
    assert len(rows(store_url, "SELECT 1 FROM snapshots")) == 8


def test_an_incident_lasts_from_the_first_bad_snapshot_to_the_first_good_one(
    store_url: str, writer: Engine
) -> None:
    states: dict[int, Node] = {
        0: ("ok", None),
        1: ("err", "timeout"),
        2: ("err", "refused"),
        3: ("warn", None),
        4: ("err", "dns"),
    }
    for slot, state in states.items():
        commit(writer, _snapshot(slot, a=state))
    going_on = Incident("node", "a", "err", "dns", _at(4), _at(4), None, was_observed_to_end=True)
    over = Incident("node", "a", "err", "timeout", _at(1), _at(2), _at(3), was_observed_to_end=True)
    assert _incidents(store_url, 0, 10) == [going_on, over]
    # As it was known then.
    assert _incidents(store_url, 0, 3) == [
        Incident("node", "a", "err", "timeout", _at(1), _at(2), None, was_observed_to_end=True)
    ]
    assert _incidents(store_url, 0, 1) == []
    # One that began before the period is in it; one that was over by then is not.
    assert _incidents(store_url, 2, 10) == [going_on, over]
    assert _incidents(store_url, 3, 10) == [going_on]


def test_a_gap_before_the_end_is_told(store_url: str, writer: Engine) -> None:
    commit(writer, _snapshot(0, "stale"))
    commit(writer, _snapshot(1, "error"))
    commit(writer, _snapshot(50))
    (incident,) = _incidents(store_url, 0, 60)
    assert incident == Incident(
        "section",
        "queue",
        "error",
        "locked",
        _at(0),
        _at(1),
        _at(50),
        was_observed_to_end=False,
        unobserved_ms=48 * INTERVAL_MS,
    )


def test_what_was_bad_before_and_after_a_gap_is_one_incident_that_tells_of_it(
    store_url: str, writer: Engine
) -> None:
    for slot in (0, 1, 2, 402, 403):
        commit(writer, _snapshot(slot, a=("err", "timeout")))
    (incident,) = _incidents(store_url, 0, 500)
    assert (incident.ended_at_ms, incident.last_seen_ms) == (None, _at(403))
    assert incident.unobserved_ms == 399 * INTERVAL_MS


def test_a_node_that_is_no_longer_watched_ends_its_incident(store_url: str, writer: Engine) -> None:
    commit(writer, _snapshot(0, a=("err", "tls")))
    commit(writer, _snapshot(1, b=("ok", None)))
    (incident,) = _incidents(store_url, 0, 60)
    assert (incident.name, incident.ended_at_ms) == ("a", _at(1))
