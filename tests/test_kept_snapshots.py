"""Documents that outlive the snapshots: at multiples of 5 minutes, then of 1 h, always the same."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from migrations.upgrading import upgrade
from store.codec import encode
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.keeping import DamagedDocumentError
from store.reading import (
    snapshot_after,
    snapshot_at,
    snapshot_before,
    snapshot_times,
)
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from store.writing import Snapshot, add_all
from tests.support.databases import in_no_hurry_to_the_disk
from tests.support.properties import sparing
from tests.support.records import change

START_MS = 1_795_132_800_000  # 2026-11-20T00:00:00Z
INTERVAL_MS = 100_000  # 3 in 5 minutes
SLOTS = 4 * DAY_MS // INTERVAL_MS


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def writer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('kept')}/store.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    upgrade(url)
    engine = open_writer(url)
    in_no_hurry_to_the_disk(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def before(writer: Engine) -> dict[int, str]:
    """The documents by when they were taken, of which later most are deleted; some ticks lack."""
    taken = {
        START_MS + slot * INTERVAL_MS: encode({"interval_s": 100, "ok": True, "n": slot})
        for slot in range(SLOTS)
        if slot % 7 and not 200 < slot < 300
    }
    with writer.begin() as connection:
        add_all(
            connection,
            [Snapshot("one", at_ms, INTERVAL_MS, text, {}) for at_ms, text in taken.items()],
        )
    while roll_up(writer, "one", 1000):
        pass
    kept = {SNAPSHOTS: 6 * HOUR_MS, "5m": 2 * DAY_MS, "1h": None, "1d": None}
    while forget(writer, "one", kept, HOUR_MS):
        pass
    return taken


_SLOTS = st.integers(-100, SLOTS + 100)


@sparing
@given(slot=_SLOTS)
def test_a_moment_on_a_multiple_leads_to_the_same_document_for_ever(
    writer: Engine, before: dict[int, str], slot: int
) -> None:
    newest_ms = max(before)
    at_ms = START_MS + slot * INTERVAL_MS
    step_ms = HOUR_MS if at_ms < newest_ms - 2 * DAY_MS else 5 * MINUTE_MS
    at_ms -= at_ms % step_ms
    with writer.connect() as connection:
        found = snapshot_at(connection, "one", at_ms)
    taken = [one for one in before if one <= at_ms]
    assert (found and found.document) == (before[taken[-1]] if taken else None)


@sparing
@given(slot=_SLOTS)
def test_neighbours_are_the_nearest_that_are_kept(
    writer: Engine, before: dict[int, str], slot: int
) -> None:
    at_ms = START_MS + slot * INTERVAL_MS
    with writer.connect() as connection:
        times = snapshot_times(connection, "one", 0, max(before) + 1, 100_000)
        earlier = snapshot_before(connection, "one", at_ms)
        later = snapshot_after(connection, "one", at_ms)
    assert times == sorted(set(times))
    assert set(times) <= set(before)
    assert (earlier and earlier.taken_at_ms) == max((t for t in times if t < at_ms), default=None)
    assert (later and later.taken_at_ms) == min((t for t in times if t > at_ms), default=None)
    for one in (earlier, later):
        assert one is None or one.document == before[one.taken_at_ms]


def test_what_is_kept_is_the_first_of_each_period_and_where_the_next_lacks_it_the_last(
    writer: Engine, before: dict[int, str]
) -> None:
    newest_ms = max(before)
    with writer.connect() as connection:
        times = snapshot_times(connection, "one", 0, newest_ms + 1, 100_000)
    raw_from_ms = (newest_ms - 6 * HOUR_MS) // HOUR_MS * HOUR_MS
    fine_from_ms = (newest_ms - 2 * DAY_MS) // HOUR_MS * HOUR_MS
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for at_ms in sorted(before):
        step_ms = 5 * MINUTE_MS if at_ms >= fine_from_ms else HOUR_MS
        step_ms = 1 if at_ms >= raw_from_ms else step_ms
        firsts.setdefault(at_ms - at_ms % step_ms, at_ms)
        lasts[at_ms - at_ms % step_ms + step_ms] = at_ms
    # The last one too, where the tick at the end was missed: until the next, it is the answer.
    needed = {at_ms for ends_at_ms, at_ms in lasts.items() if ends_at_ms not in before}
    assert times == sorted({*firsts.values(), *needed})


def test_a_damaged_row_holds_up_nobody_but_who_asks_for_it(sqlite_url: str) -> None:
    engine = open_writer(sqlite_url)
    texts = [encode({"interval_s": 100, "n": slot}) for slot in range(73)]
    taken = [
        Snapshot("one", START_MS + slot * INTERVAL_MS, INTERVAL_MS, text, {})
        for slot, text in enumerate(texts)
    ]
    with engine.begin() as connection:
        add_all(connection, taken[:20])
    while roll_up(engine, "one", 1000):
        pass
    change(
        sqlite_url,
        f"UPDATE kept_snapshots SET document = x'78' WHERE taken_at = {START_MS}",
        f"UPDATE snapshots SET document = '{{' WHERE taken_at = {START_MS + 18 * INTERVAL_MS}",
    )
    with engine.begin() as connection:
        add_all(connection, taken[20:])
    while roll_up(engine, "one", 1000):
        pass
    while forget(engine, "one", {SNAPSHOTS: 1}, HOUR_MS):
        pass
    with engine.connect() as connection:
        for damaged_ms in (START_MS, START_MS + 5 * MINUTE_MS):
            with pytest.raises(DamagedDocumentError):
                snapshot_at(connection, "one", damaged_ms)
        for slot, text in ((18, "{"), (21, texts[21]), (36, texts[36]), (69, texts[69])):
            found = snapshot_at(connection, "one", START_MS + slot * INTERVAL_MS)
            assert found is not None
            assert found.document == text
    engine.dispose()
