"""Writing snapshots and reading them back, on both engines; compared with plain SQL."""

import base64
from collections.abc import ItemsView, Iterator
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from store.codec import decode, encode
from store.engines import open_reader, open_writer
from store.intervals import LatencyInterval
from store.reading import StoredSnapshot, documents_since, newest_taken_at_ms, snapshot_at
from store.writing import Snapshot, TickAlreadyRecordedError, commit
from tests.support.documents import INTERVAL_MS, TAKEN_AT_MS, full_document
from tests.support.properties import unhurried
from tests.support.records import rows

ALL_SNAPSHOTS = "SELECT source, taken_at, document FROM snapshots ORDER BY source, taken_at"
ALL_INTERVALS = (
    "SELECT source, taken_at, class_key, count, errors, clamped, min_us, max_us, histogram"
    " FROM interval_histograms ORDER BY source, taken_at, class_key"
)
ALL_SOURCES = "SELECT source, newest_taken_at FROM sources ORDER BY source"


@pytest.fixture
def writer(store_url: str) -> Iterator[Engine]:
    engine = open_writer(store_url)
    yield engine
    engine.dispose()


@pytest.fixture
def reader(store_url: str) -> Iterator[Engine]:
    engine = open_reader(store_url)
    yield engine
    engine.dispose()


def snapshot(taken_at_ms: int = TAKEN_AT_MS, source: str = "one", **more: Any) -> Snapshot:
    given = {"document": f'{{"at":{taken_at_ms}}}', "intervals": {}, **more}
    return Snapshot(source=source, taken_at_ms=taken_at_ms, interval_ms=INTERVAL_MS, **given)


def interval_of(*durations_us: int, errors: int = 0) -> LatencyInterval:
    interval = LatencyInterval()
    for number, duration_us in enumerate(durations_us):
        interval.histogram.record(duration_us, is_error=number < errors)
    return interval


def test_a_snapshot_is_its_document_and_the_histograms_of_its_interval(
    store_url: str, writer: Engine
) -> None:
    text = encode(full_document())
    users = interval_of(4000, 5000, 5000, 486_000, errors=2)
    commit(
        writer,
        snapshot(document=text, intervals={"latency": users, "latency_admin": LatencyInterval()}),
    )
    assert rows(store_url, ALL_SNAPSHOTS) == [("one", TAKEN_AT_MS, text)]
    (user, admin) = rows(store_url, ALL_INTERVALS)
    # By key: the empty one is "latency_admin", which sorts behind "latency".
    assert tuple(user)[:8] == ("one", TAKEN_AT_MS, "latency", 4, 2, 0, 4000, 486_000)
    assert tuple(admin)[:8] == ("one", TAKEN_AT_MS, "latency_admin", 0, 0, 0, None, None)
    stored = HdrHistogram.decode(base64.b64encode(bytes(user.histogram)))
    assert stored.get_total_count() == 4
    assert stored.get_count_at_value(5000) == 2
    assert HdrHistogram.decode(base64.b64encode(bytes(admin.histogram))).get_total_count() == 0


def test_nobody_sees_a_part_of_a_snapshot(store_url: str, writer: Engine) -> None:
    class PeekHalfway(dict[str, LatencyInterval]):
        """Looks at the store after the document was written, before the histograms are."""

        def items(self) -> ItemsView[str, LatencyInterval]:
            seen.append([rows(store_url, sql) for sql in (ALL_SNAPSHOTS, ALL_SOURCES)])
            return super().items()

    seen: list[list[Any]] = []
    commit(writer, snapshot(intervals=PeekHalfway(latency=interval_of(5000))))
    assert seen == [[[], []]]
    assert len(rows(store_url, ALL_SNAPSHOTS)) == len(rows(store_url, ALL_INTERVALS)) == 1


def test_a_snapshot_that_fails_halfway_leaves_nothing(store_url: str, writer: Engine) -> None:
    commit(writer, snapshot(TAKEN_AT_MS - INTERVAL_MS))
    before = [rows(store_url, sql) for sql in (ALL_SNAPSHOTS, ALL_INTERVALS, ALL_SOURCES)]
    nameless: dict[Any, LatencyInterval] = {"latency": interval_of(5000), None: interval_of(1)}
    with pytest.raises(IntegrityError):
        commit(writer, snapshot(intervals=nameless))
    after = [rows(store_url, sql) for sql in (ALL_SNAPSHOTS, ALL_INTERVALS, ALL_SOURCES)]
    assert after == before
    commit(writer, snapshot())
    assert len(rows(store_url, ALL_SNAPSHOTS)) == 2


@pytest.mark.parametrize("offset_ms", [0, 1, INTERVAL_MS - 1])
def test_a_second_snapshot_of_the_same_tick_is_refused(
    store_url: str, writer: Engine, offset_ms: int
) -> None:
    commit(writer, snapshot(document='{"first":true}'))
    with pytest.raises(TickAlreadyRecordedError):
        commit(writer, snapshot(TAKEN_AT_MS + offset_ms, intervals={"latency": interval_of(1)}))
    assert rows(store_url, ALL_SNAPSHOTS) == [("one", TAKEN_AT_MS, '{"first":true}')]
    assert rows(store_url, ALL_INTERVALS) == []
    assert rows(store_url, ALL_SOURCES) == [("one", TAKEN_AT_MS)]


def test_a_snapshot_taken_late_in_its_tick_leaves_the_next_tick_free(
    store_url: str, writer: Engine
) -> None:
    commit(writer, snapshot(TAKEN_AT_MS + INTERVAL_MS - 1))
    with pytest.raises(TickAlreadyRecordedError):
        commit(writer, snapshot(TAKEN_AT_MS))
    commit(writer, snapshot(TAKEN_AT_MS + INTERVAL_MS))
    taken = [row.taken_at for row in rows(store_url, ALL_SNAPSHOTS)]
    assert taken == [TAKEN_AT_MS + INTERVAL_MS - 1, TAKEN_AT_MS + INTERVAL_MS]


def test_an_older_tick_is_refused_so_that_the_record_only_grows_forward(
    store_url: str, writer: Engine
) -> None:
    commit(writer, snapshot())
    with pytest.raises(TickAlreadyRecordedError):
        commit(writer, snapshot(TAKEN_AT_MS - 10 * INTERVAL_MS))
    assert len(rows(store_url, ALL_SNAPSHOTS)) == 1


def test_sources_know_nothing_of_each_other(store_url: str, writer: Engine, reader: Engine) -> None:
    later_ms = TAKEN_AT_MS + INTERVAL_MS
    commit(writer, snapshot(later_ms, "one"))
    commit(writer, snapshot(TAKEN_AT_MS, "two", intervals={"latency": interval_of(5)}))
    with pytest.raises(TickAlreadyRecordedError):
        commit(writer, snapshot(TAKEN_AT_MS, "two"))
    assert [(row.source, row.taken_at) for row in rows(store_url, ALL_SNAPSHOTS)] == [
        ("one", later_ms),
        ("two", TAKEN_AT_MS),
    ]
    with reader.connect() as connection:
        assert newest_taken_at_ms(connection, "one") == later_ms
        assert newest_taken_at_ms(connection, "two") == TAKEN_AT_MS
        assert newest_taken_at_ms(connection, "three") is None
        assert snapshot_at(connection, "one", TAKEN_AT_MS) is None
        assert snapshot_at(connection, "two", later_ms) == StoredSnapshot(
            TAKEN_AT_MS, f'{{"at":{TAKEN_AT_MS}}}'
        )
        assert list(documents_since(connection, "three", 0)) == []


def test_the_snapshot_at_a_time_is_the_newest_taken_by_then(writer: Engine, reader: Engine) -> None:
    # A gap of two ticks lies between the second and the third.
    taken = [TAKEN_AT_MS, TAKEN_AT_MS + INTERVAL_MS + 7, TAKEN_AT_MS + 4 * INTERVAL_MS]
    for taken_at_ms in taken:
        commit(writer, snapshot(taken_at_ms))
    expected = {
        0: None,
        taken[0] - 1: None,
        taken[0]: taken[0],
        taken[1] - 1: taken[0],
        taken[1]: taken[1],
        taken[2] - 1: taken[1],
        taken[2]: taken[2],
        taken[2] + 10**12: taken[2],
    }
    with reader.connect() as connection:
        found = {at_ms: snapshot_at(connection, "one", at_ms) for at_ms in expected}
    assert {at_ms: one and one.taken_at_ms for at_ms, one in found.items()} == expected
    assert {one and one.document for one in found.values()} == {
        None,
        *(f'{{"at":{taken_at_ms}}}' for taken_at_ms in taken),
    }


def test_documents_come_oldest_first_and_only_the_newer_ones(
    writer: Engine, reader: Engine
) -> None:
    taken = [TAKEN_AT_MS + n * INTERVAL_MS for n in range(4)]
    for taken_at_ms in taken:
        commit(writer, snapshot(taken_at_ms))
    with reader.connect() as connection:
        found = [one.taken_at_ms for one in documents_since(connection, "one", taken[1])]
    assert found == taken[2:]


def test_a_document_comes_back_letter_for_letter(writer: Engine, reader: Engine) -> None:
    awkward = {"a": "8 s · 720×720 \U0001f600", "b": "\x00\x1b\u2028'\"\\%s:x", "z": [None, 1.5e-9]}
    text = encode(awkward)
    commit(writer, snapshot(document=text))
    with reader.connect() as connection:
        found = snapshot_at(connection, "one", TAKEN_AT_MS)
    assert found == StoredSnapshot(TAKEN_AT_MS, text)
    assert decode(text) == awkward


def test_half_a_surrogate_pair_from_a_source_cannot_keep_a_snapshot_out_of_the_store(
    store_url: str, writer: Engine
) -> None:
    # JSON can say "\ud800" in an escape, UTF-8 cannot.
    commit(writer, snapshot(document=encode({"version": "1.\ud800", "videos": 5})))
    ((_, _, text),) = rows(store_url, ALL_SNAPSHOTS)
    assert decode(text)["videos"] == 5


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Whatever UTF-8 can hold.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab·😀"), inner, max_size=4)
    ),
    max_leaves=12,
)


@unhurried
@given(st.dictionaries(st.text("abc_"), json_values, max_size=5))
def test_a_document_survives_being_text(document: dict[str, Any]) -> None:
    assert decode(encode(document)) == document


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_cannot_enter_a_document(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode({"queue": {"depth": number}})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"ok"', '{"a":1', "{'a': 1}"])
def test_text_that_is_no_json_object_is_no_document(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text)
