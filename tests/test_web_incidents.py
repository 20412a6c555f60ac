"""The incidents of the week before a snapshot, as they were known then."""

import re
from pathlib import Path

import pytest

from migrations.upgrading import upgrade
from tests.support.documents import Document, full_document, this_tick_ms
from tests.support.markup import Element
from tests.support.page_record import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Change,
    PageRecord,
    every,
)
from tests.support.visitors import page_of

QUARTER_MS = 15 * MINUTE_MS


@pytest.fixture
def record(sqlite_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(sqlite_url, tmp_path, interval_ms=QUARTER_MS)


@pytest.fixture
def record_anywhere(store_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(store_url, tmp_path, interval_ms=QUARTER_MS)


def down(*spans_h: tuple[float, float], name: str = "node-3", reason: str = "refused") -> Change:
    """Let a node be down in these spans, in hours from the begin."""

    def change(at_ms: int, document: Document) -> None:
        hours = (at_ms - START_MS) / HOUR_MS
        for one in document["nodes"]:
            if one["id"] == name and any(begin <= hours < end for begin, end in spans_h):
                one |= {"status": "err", "rtt_ms": None, "reason": reason}

    return change


def told(page: Element) -> list[str]:
    return [read(one) for one in page.by_id("incidents").all("li")]


def read(element: Element) -> str:
    """Return its text, without the spaces that the helper puts before a comma or a full stop."""
    return re.sub(r" (?=[,.])", "", element.text)


def hours(begin: float, end: float) -> range:
    return every(QUARTER_MS, START_MS + round(begin * HOUR_MS), START_MS + round(end * HOUR_MS))


def test_an_incident_has_its_subject_reason_begin_end_and_duration(
    record_anywhere: PageRecord,
) -> None:
    record_anywhere.take(hours(0, 30), down((2, 3.5), (5, 5.25), (23, 25)))
    assert told(record_anywhere.page()) == [
        ("down node-3 connection refused 2026-11-10 23:00:00 UTC to 2026-11-11 01:00:00 UTC, 2 h"),
        "down node-3 connection refused 2026-11-10 05:00:00 UTC to 05:15:00 UTC, 15 min",
        "down node-3 connection refused 2026-11-10 02:00:00 UTC to 03:30:00 UTC, 1 h 30 min",
    ]


def test_an_incident_that_goes_on_says_for_how_long_so_far(record: PageRecord) -> None:
    record.take(hours(0, 10), down((8.5, 99), reason="dns"))
    assert told(record.page()) == [
        "down node-3 name not resolved 2026-11-10 08:30:00 UTC and going on, 1 h 30 min so far"
    ]


def test_an_end_that_nobody_saw_is_told_as_between_two_snapshots(record: PageRecord) -> None:
    record.take([*hours(0, 4), *hours(7, 8)], down((3, 6)))
    assert told(record.page()) == [
        (
            "down node-3 connection refused 2026-11-10 03:00:00 UTC, 1 h or more; its end was "
            "not observed, it came between 04:00:00 UTC and 07:00:00 UTC"
        )
    ]


def test_a_section_without_fresh_values_is_an_incident_under_its_title(record: PageRecord) -> None:
    def change(at_ms: int, document: Document) -> None:
        document["sections"]["queue"]["title"] = "<b>The queue</b>"
        if START_MS + HOUR_MS <= at_ms < START_MS + 2 * HOUR_MS:
            document["sections"]["queue"] |= {"status": "stale", "reason": "locked"}

    record.take(hours(0, 3), change)
    page = record.page()
    assert told(page) == [
        "stale <b>The queue</b> database locked 2026-11-10 01:00:00 UTC to 02:00:00 UTC, 1 h"
    ]
    assert page.by_id("incidents").all("b") == []


def test_a_page_tells_what_was_known_when_its_snapshot_was_taken(record: PageRecord) -> None:
    record.take(hours(0, 12), down((2, 3), (5, 9), name="node-2", reason="timeout"))
    at_six = record.page(START_MS + 6 * HOUR_MS)
    assert told(at_six) == [
        "down node-2 no answer in time 2026-11-10 05:00:00 UTC and going on, 1 h so far",
        "down node-2 no answer in time 2026-11-10 02:00:00 UTC to 03:00:00 UTC, 1 h",
    ]
    assert told(record.page(START_MS + 2 * HOUR_MS - QUARTER_MS)) == []
    assert at_six.by_id("title-incidents").text == "Incidents of the 7 days before"
    assert record.page().by_id("title-incidents").text == "Incidents of the last 7 days"


def test_what_is_older_than_a_week_is_not_told_and_what_reaches_into_it_is(
    record: PageRecord,
) -> None:
    hourly = PageRecord(record.url, record._directory, interval_ms=HOUR_MS)
    hourly.take(every(HOUR_MS, START_MS, START_MS + 8 * DAY_MS), down((2, 3), (20, 26)))
    assert told(hourly.page()) == [
        ("down node-3 connection refused 2026-11-10 20:00:00 UTC to 2026-11-11 02:00:00 UTC, 6 h")
    ]


def test_none_is_only_said_of_what_was_observed(record: PageRecord) -> None:
    half = every(HOUR_MS, START_MS, START_MS + 84 * HOUR_MS)
    record_of_hours = PageRecord(record.url, record._directory, interval_ms=HOUR_MS)
    record_of_hours.take(half)
    panel = record_of_hours.page().by_id("incidents")
    assert "None in what was observed." in read(panel)
    assert "Observed 50.00 % of the 7 days up to 2026-11-13 12:00:00 UTC." in read(panel)
    rest = every(HOUR_MS, START_MS + 85 * HOUR_MS, START_MS + 170 * HOUR_MS)
    record_of_hours.take(rest)
    record_of_hours.visitor = record_of_hours.new_visitor()
    panel = record_of_hours.page().by_id("incidents")
    assert "None." in read(panel)
    assert "Observed 100 % of the 7 days" in read(panel)


def test_of_a_week_that_nobody_observed_nothing_is_said(sqlite_url: str, tmp_path: Path) -> None:
    panel = page_of(full_document(this_tick_ms()), sqlite_url, tmp_path).by_id("incidents")
    # The snapshot itself has a node that is down.
    assert [one.text.split(" UTC and")[0][:9] for one in panel.all("li")] == ["down node"]
    document = full_document(this_tick_ms() + 30_000)
    document["nodes"] = document["nodes"][:1]
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    url = f"sqlite:///{fresh}/store.db"
    upgrade(url)
    panel = page_of(document, url, fresh).by_id("incidents")
    assert panel.all("li") == []
    assert "No history yet." in read(panel)
    assert "None" not in read(panel)
    assert "%" not in read(panel)


def test_of_many_incidents_the_newest_are_listed_and_the_others_counted(
    record: PageRecord,
) -> None:
    record.take(hours(0, 41), down(*[(n, n + 0.5) for n in range(1, 41, 2)]))
    panel = record.page().by_id("incidents")
    assert len(panel.all("li")) == 12
    assert "2026-11-11 15:00:00 UTC" in panel.all("li")[0].text
    assert "And 8 before these." in read(panel)


def test_the_list_leads_to_the_same_as_data(record: PageRecord) -> None:
    record.take(hours(0, 10), down((2, 3), (5, 9)))
    panel = record.page(START_MS + 6 * HOUR_MS).by_id("incidents")
    (link,) = panel.all("a")
    answer = record.visitor.get(link.attributes["href"])
    assert answer.status_code == 200, answer.text
    assert len(answer.get_json()["incidents"]) == len(panel.all("li")) == 2
