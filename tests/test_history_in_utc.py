"""Days are of UTC, whatever the host's zone does: midnight, a change of clocks, a new year."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from store.codec import encode
from store.engines import open_reader, open_writer
from store.history.asking import Period, period_of
from store.history.series import ask
from store.history.uptime import daily_uptimes
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS
from store.writing import Snapshot, add_all
from tests.support.records import rows

HOURLY_MS = HOUR_MS
#: The host's zone, and a midnight of UTC around which something happens in it, or to the calendar.
CASES = [
    ("Europe/Berlin", datetime(2027, 3, 28, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2027, 10, 31, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 3, 14, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 4, tzinfo=UTC)),
    ("America/New_York", datetime(2027, 1, 1, tzinfo=UTC)),
    ("UTC", datetime(2028, 2, 29, tzinfo=UTC)),
    # The second before it was the last leap second: Unix time, and so the record, has none.
    ("Asia/Kolkata", datetime(2017, 1, 1, tzinfo=UTC)),
]


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Give the host another zone for a while."""

    def set_it(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_it
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("zone", "midnight"), CASES, ids=str)
def test_a_day_has_24_hours_from_midnight_to_midnight_of_utc(
    sqlite_url: str, set_zone: Callable[[str], None], zone: str, midnight: datetime
) -> None:
    set_zone(zone)
    first = midnight - timedelta(days=1)
    start_ms = round(first.timestamp()) * 1000
    engine = open_writer(sqlite_url)
    with engine.begin() as connection:
        add_all(
            connection,
            [_taken(start_ms + hour * HOURLY_MS, hour) for hour in range(49)],
        )
    while roll_up(engine, "one", 1000):
        pass
    engine.dispose()
    periods = rows(sqlite_url, "SELECT starts_at, snapshots FROM rollup_periods WHERE tier = '1d'")
    assert [tuple(row) for row in periods] == [(start_ms, 24), (start_ms + DAY_MS, 24)]
    reader = open_reader(sqlite_url)
    with reader.connect() as connection:
        asked = period_of(
            first.strftime("%Y-%m-%dT%H:%M"), (first + timedelta(days=2)).isoformat(), start_ms
        )
        assert asked == Period(start_ms, start_ms + 2 * DAY_MS)
        answer = ask(connection, "one", ["n", "latency.max"], asked, DAY_MS, asked.end_ms)
        days = daily_uptimes(connection, "one", ["a"], asked)["a"]
    reader.dispose()
    assert answer.times_ms == [start_ms, start_ms + DAY_MS]
    numbers, slowest = answer.series
    assert numbers.columns["min"] == [0, 24]
    assert numbers.columns["max"] == [23, 47]
    assert slowest.columns["value"] == [23 + 1, 47 + 1]
    assert [(day.up_ms, day.unknown_ms) for day in days] == [(DAY_MS, 0), (DAY_MS, 0)]


def _taken(at_ms: int, hour: int) -> Snapshot:
    document = {"interval_s": 3600, "n": hour, "nodes": [{"id": "a", "status": "ok"}]}
    interval = LatencyInterval()
    interval.histogram.record((hour + 1) * 1000)
    return Snapshot("one", at_ms, HOURLY_MS, encode(document), {"latency": interval})
