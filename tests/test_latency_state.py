"""What the daemon keeps over a restart: the same again, and nothing private in it."""

import base64
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import LargeBinary, bindparam, create_engine, text

from daemon.latency.routes import fold
from daemon.latency.state import State, WindowState, decode, encode, intervals_of
from daemon.requests import LogLines, Loss, Request
from store.intervals import LatencyInterval
from store.revision import SchemaError
from tests.support.configuring import write_config
from tests.support.documents import now_ms
from tests.support.logs import append
from tests.support.processes import run
from tests.support.properties import unhurried
from tests.support.recorders import (
    Slots,
    Start,
    Tree,
    counted,
    counted_users,
    line,
    lines,
    told_lost,
    tree_of,
)
from tests.support.records import rows
from tests.support.ring_writers import Told, dead_ring

pytest_plugins = ("tests.support.daemon_plugin",)


def _requests(*durations_us: int, path: str = "/api/feed") -> list[Told]:
    return [(now_ms(), duration_us, 200, path) for duration_us in durations_us]


# --- the bytes

_MS = st.integers(0, 4_102_444_800_000)
_COUNTS = st.integers(0, 10**12)
_TEXTS = st.text(max_size=30)
_POSITIONS = st.dictionaries(
    _TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64) | _TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
_REQUESTS = st.builds(Request, _MS, st.integers(0, 10**15), st.integers(0, 999), _TEXTS.map(fold))
_WINDOWS = st.builds(
    WindowState,
    _TEXTS,
    st.lists(_REQUESTS, max_size=20),
    st.lists(st.builds(Loss, _MS, st.none() | _COUNTS), max_size=5),
    st.lists(st.builds(LogLines, _MS, _COUNTS, _COUNTS), max_size=5),
)


@st.composite
def _intervals(draw: st.DrawFn) -> LatencyInterval:
    interval = LatencyInterval()
    for duration_us in draw(st.lists(st.integers(-5, 4 * 10**9), max_size=20)):
        interval.histogram.record(duration_us, is_error=draw(st.booleans()))
        interval.note_time(draw(_MS), draw(_MS))
    interval.note_loss(draw(st.none() | _COUNTS))
    interval.log_lines, interval.unparsed = draw(_COUNTS), draw(_COUNTS)
    return interval


@unhurried
@given(
    positions=_POSITIONS,
    windows=st.dictionaries(_TEXTS, _WINDOWS, max_size=3),
    intervals=st.dictionaries(_TEXTS, _intervals(), max_size=2),
)
def test_a_state_is_the_same_after_it_was_stored(
    positions: dict[str, Any],
    windows: dict[str, WindowState],
    intervals: dict[str, LatencyInterval],
) -> None:
    state = State(positions, windows, {key: one.columns() for key, one in intervals.items()})
    again = decode(encode(state))
    assert again == state
    found = intervals_of(again)
    assert {key: one.columns() for key, one in found.items()} == state.intervals


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"not compressed",
        zlib.compress(b"not JSON"),
        zlib.compress(b"[]"),
        zlib.compress(b"{}"),
        zlib.compress(b'{"version":1}'),
        zlib.compress(b'{"version":1,"positions":{},"windows":{"latency":{}},"intervals":{}}'),
        encode(State())[:-1],
    ],
)
def test_a_damaged_state_is_refused(stored: bytes) -> None:
    with pytest.raises(SchemaError, match="damaged"):
        decode(stored)


@unhurried
@given(data=st.data())
def test_a_state_with_any_byte_changed_is_refused_if_it_says_anything_else(
    data: st.DataObject,
) -> None:
    window = WindowState("[]", [Request(1, 2, 200, "/api")] * 9, [], [])
    state = State({"log:/a": [{"inode": 1}]}, {"latency": window}, {})
    stored = bytearray(encode(state))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    # A bit of zlib's header says how hard it tried.
    with suppress(SchemaError):
        assert decode(bytes(stored)) == state


def test_a_newer_state_is_refused_by_its_version() -> None:
    with pytest.raises(SchemaError, match="version 2, expected 1"):
        decode(zlib.compress(b'{"version":2,"cursors":[]}'))


def test_nothing_private_is_in_the_stored_state(
    store_url: str, rings: Path, log: Path, start: Start
) -> None:
    log.write_text(lines(1))
    daemon = start(tree_of(store_url, logs=[log], rings=rings))
    assert daemon.tick()
    secrets = ("hunter2", "anna-7f3e9c", "dQw4w9WgXcQ", "203.0.113.77", "SecretAgent")
    append(
        log,
        '203.0.113.77 - anna-7f3e9c [20/Nov/2026:10:13:30 +0000] "GET /watch/dQw4w9WgXcQ?token='
        'hunter2 HTTP/1.1" 200 1 "https://x/?hunter2" "SecretAgent" 77\n',
    )
    dead_ring(
        rings, _requests(5, path="/users/anna-7f3e9c") + _requests(6, path="/admin/anna-7f3e9c")
    )
    daemon.drain()
    (stored,) = rows(store_url, "SELECT state FROM latency_state")
    told = zlib.decompress(bytes(stored.state)).decode()
    assert json.loads(told)["windows"]["latency"]["routes"]
    assert "/watch/:id" in told
    assert [secret for secret in secrets if secret in told or secret.encode().hex() in told] == []
    assert [s for s in secrets if base64.b64encode(s.encode()).decode().rstrip("=") in told] == []


# --- at the daemon's start


def _put_state(url: str, state: bytes) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        statement = text("UPDATE latency_state SET state = :state")
        connection.execute(statement.bindparams(bindparam("state", state, LargeBinary)))
    engine.dispose()


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (b"\x00\x01\x02", "damaged"),
        (zlib.compress(b'{"version":7}'), "version 7"),
    ],
)
@pytest.mark.parametrize("command", ["daemon", "sample"])
def test_a_state_that_cannot_be_read_ends_the_command_with_a_clear_word(
    tmp_path: Path,
    store_url: str,
    rings: Path,
    start: Start,
    stored: bytes,
    told: str,
    command: str,
) -> None:
    tree = tree_of(store_url, rings=rings)
    daemon = start(tree)
    assert daemon.tick()
    daemon.kill()
    _put_state(store_url, stored)
    ended = run("--config", write_config(tmp_path / "opsnap.toml", tree), command)
    assert ended.returncode == 1
    assert "the latency state in the store" in ended.stderr
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    (row,) = rows(store_url, "SELECT state FROM latency_state")
    assert bytes(row.state) == stored, "it is left for whoever looks into it"


# --- another configuration


def _with_rules(tree: Tree, key: str, **rules: Any) -> Tree:
    classes = [{**one, **rules} if one["key"] == key else one for one in tree["latency"]["classes"]]
    return {**tree, "latency": {**tree["latency"], "classes": classes}}


def test_with_other_rules_a_window_begins_anew_from_the_logs_tail(
    sqlite_url: str, log: Path, start: Start, slots: Slots
) -> None:
    log.write_text(line(1, duration_us=1_000) + line(2, "/static/app.js", duration_us=2_000))
    tree = tree_of(sqlite_url, logs=[log])
    daemon = start(tree)
    assert daemon.tick()
    assert daemon.entry()["samples"] == 2
    daemon.kill()
    append(log, line(3, duration_us=9_000))
    daemon = start(_with_rules(tree, "latency", exclude=["/admin/", "/static/"]))
    slots.next()
    assert daemon.tick()
    entry = daemon.entry()
    assert (entry["samples"], entry["p50"], entry["max"]) == (2, 1.0, 9.0)
    # What was counted by the old rules stays counted, what is new is counted by the new ones.
    assert counted_users(sqlite_url) == 1


def test_a_window_of_another_size_keeps_its_last_requests(
    sqlite_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    dead_ring(rings, [(now_ms() + n, 1_000 * n, 200, "/api") for n in range(1, 31)])
    tree = tree_of(sqlite_url, rings=rings, window=30)
    daemon = start(tree)
    assert daemon.tick()
    daemon.drain()
    for window in (10, 50):
        daemon.kill()
        daemon = start(_with_rules(tree, "latency", window=window))
        slots.next()
        assert daemon.tick()
        entry = daemon.entry()
        # Those that took 21 to 30 ms.
        assert (entry["samples"], entry["window"], entry["max"]) == (10, window, 30.0)
        assert entry["p50"] == pytest.approx(25, rel=1e-3)
    assert counted_users(sqlite_url) == 30


def test_a_class_that_is_new_is_filled_from_the_logs_tail_and_counts_from_now_on(
    sqlite_url: str, log: Path, start: Start, slots: Slots
) -> None:
    log.write_text(lines(1, 2) + line(3, "/upload/x"))
    tree = tree_of(sqlite_url, logs=[log])
    daemon = start(tree)
    assert daemon.tick()
    daemon.kill()
    classes = tree["latency"]["classes"]
    classes.append({"key": "latency_upload", "title": "Uploads", "include": ["/upload/"]})
    append(log, line(4, "/upload/y"))
    daemon = start(tree)
    slots.next()
    assert daemon.tick()
    assert daemon.entry("latency_upload")["samples"] == 2
    assert daemon.entry("latency")["samples"] == 4
    assert counted(sqlite_url) == {"latency": 1, "latency_admin": 0, "latency_upload": 1}


def test_what_a_class_had_counted_is_stored_although_the_class_is_gone(
    sqlite_url: str, rings: Path, start: Start, slots: Slots
) -> None:
    tree = tree_of(sqlite_url, rings=rings)
    daemon = start(tree)
    assert daemon.tick()
    dead_ring(rings, _requests(1, 2, 3) + _requests(4, 5, path="/admin/x"))
    # As at a clean end: what was collected since the last snapshot waits in the state.
    daemon.recorder.drain(is_last=True)
    daemon.kill()
    del tree["latency"]["classes"][1]
    daemon = start(tree)
    for _ in range(2):
        slots.next()
        assert daemon.tick()
    assert counted(sqlite_url) == {"latency": 3, "latency_admin": 2}


def test_a_log_that_was_not_configured_for_a_while_goes_on_where_it_was(
    sqlite_url: str, log: Path, rings: Path, start: Start, slots: Slots
) -> None:
    log.write_text(lines(1))
    both = tree_of(sqlite_url, logs=[log], rings=rings)
    for tree in (both, tree_of(sqlite_url, rings=rings), both):
        daemon = start(tree)
        slots.next()
        assert daemon.tick()
        append(log, lines(2, 3))
        slots.next()
        assert daemon.tick()
        daemon.kill()
    assert counted_users(sqlite_url) == 6
    assert told_lost(sqlite_url) == []
