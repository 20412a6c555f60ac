"""Availability: a cell a day, uptimes with what they stand on, and nobody looking is not down."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from store.history.asking import Period
from store.history.uptime import Uptime
from tests.support.documents import Document, full_document, this_tick_ms
from tests.support.markup import Element, parse
from tests.support.page_record import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Change,
    PageRecord,
    every,
)
from tests.support.properties import unhurried
from tests.support.visitors import page_of
from web.formatting import share
from web.status_bar import StatusBar, state_of, status_bar

QUARTER_MS = 15 * MINUTE_MS


def day(number: int, up_ms: int, down_ms: int, length_ms: int = DAY_MS) -> Uptime:
    start_ms = START_MS + number * DAY_MS
    period = Period(start_ms, start_ms + length_ms)
    return Uptime("node-1", period, up_ms, down_ms, length_ms - up_ms - down_ms)


def cells(bar: StatusBar) -> list[Element]:
    return [one for one in parse(f"<svg>{bar.drawn}</svg>").children if isinstance(one, Element)]


def heights(cell: Element) -> tuple[int, int]:
    """Return how high the solid and the striped part of a cell reach, from the bottom."""
    solid = striped_top = 0
    for path in cell.all("path"):
        tops = [28 - int(y) for y in re.findall(r"M\d+ (\d+)", path.attributes["d"])]
        if path.attributes.get("class") == "down":
            striped_top = max(tops)
        else:
            (solid,) = tops
    return solid, striped_top


def test_each_day_is_told_by_its_shape_and_by_its_title() -> None:
    bar = status_bar(
        [
            day(0, DAY_MS, 0),
            day(1, DAY_MS * 3 // 4, DAY_MS // 4),
            day(2, 0, DAY_MS),
            day(3, 0, 0),
            day(4, DAY_MS // 2, 0),
        ]
    )
    assert (bar.first, bar.last, bar.width) == ("2026-11-10", "2026-11-14", 48)
    up, partly, down, unknown, half = cells(bar)
    assert [one.all("title")[0].text for one in (up, partly, down, unknown, half)] == [
        "2026-11-10: up, 100 % observed",
        "2026-11-11: partly down 6 h, 100 % observed",
        "2026-11-12: down 1 d, 100 % observed",
        "2026-11-13: not observed",
        "2026-11-14: up, 50.00 % observed",
    ]
    assert heights(up) == (28, 0)
    assert heights(partly) == (21, 28)
    assert heights(down) == (0, 28)
    assert heights(half) == (14, 0)
    # A dot, two pixels high, over the bottom.
    assert unknown.attributes == {"class": "dot", "d": "M33 25h2v2h-2z"}


def test_days_that_nobody_observed_are_dots_under_one_title() -> None:
    bar = status_bar([day(n, 0, 0) for n in range(4)] + [day(4, DAY_MS, 0)])
    unknown, _ = cells(bar)
    assert unknown.all("title")[0].text == "2026-11-10 to 2026-11-13: not observed"
    assert unknown.attributes["d"].count("M") == 4


def test_the_bars_words_say_what_it_shows_and_name_the_days_that_were_not_up() -> None:
    bar = status_bar([day(0, DAY_MS, 0), day(1, DAY_MS - 90_000, 90_000), day(2, 0, 0)])
    assert bar.words == (
        "2026-11-10 to 2026-11-12: up 1 day, partly down 1 day, not observed 1 day. "
        "2026-11-11: partly down 1 min 30 s, 100 % observed."
    )
    many = status_bar([day(n, 0, DAY_MS) for n in range(20)])
    assert many.words.startswith("2026-11-10 to 2026-11-29: down 20 days. 2026-11-29: down 1 d,")
    assert many.words.endswith("; and 12 more.")


@unhurried
@given(st.integers(0, DAY_MS), st.integers(0, DAY_MS))
def test_nothing_that_was_observed_is_invisible_and_no_cell_is_too_high(
    one_ms: int, other_ms: int
) -> None:
    observed_ms, up_ms = max(one_ms, other_ms), min(one_ms, other_ms)
    told = day(0, up_ms, observed_ms - up_ms)
    (cell,) = cells(status_bar([told]))
    if observed_ms == 0:
        assert state_of(told) == "not observed"
        return
    solid, striped = heights(cell)
    assert (solid > 0) == (up_ms > 0)
    assert (striped > 0) == (told.down_ms > 0)
    assert max(solid, striped) <= 28
    assert max(solid, striped) >= 28 * observed_ms // DAY_MS - 1


@pytest.mark.parametrize(
    ("part", "whole", "told"),
    [
        (0, 5, "0 %"),
        (5, 5, "100 %"),
        (1, 3, "33.33 %"),
        (99_999_999, 100_000_000, "99.99 %"),
        (1, 100_000_000, "under 0.01 %"),
    ],
)
def test_only_what_is_whole_is_100_percent(part: int, whole: int, told: str) -> None:
    assert share(part, whole) == told


@pytest.fixture
def record(sqlite_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(sqlite_url, tmp_path, interval_ms=QUARTER_MS)


@pytest.fixture
def record_anywhere(store_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(store_url, tmp_path, interval_ms=QUARTER_MS)


def node(page: Element, name: str) -> Element:
    (found,) = [
        one for one in page.by_id("panel-nodes").all("div", "node") if one.all("h4")[0].text == name
    ]
    return found


def uptimes(page: Element, name: str) -> dict[str, str]:
    (told,) = node(page, name).all("dl", "uptimes")
    return {one.all("dt")[0].text: one.all("dd")[0].text for one in told.all("div")}


def bar_words(page: Element, name: str) -> str:
    (bar,) = [one for one in node(page, name).all("svg") if one.attributes.get("role") == "img"]
    return bar.attributes["aria-label"]


def down(name: str, from_ms: int, to_ms: int) -> Change:
    def change(at_ms: int, document: Document) -> None:
        for one in document["nodes"]:
            if one["id"] == name and from_ms <= at_ms < to_ms:
                one |= {"status": "err", "rtt_ms": None, "reason": "timeout"}

    return change


def test_uptimes_have_what_they_are_of_and_how_much_of_it_was_observed(
    record_anywhere: PageRecord,
) -> None:
    # Two days and 6 hours; node-2 is down for 3 of the first hours, nobody looks for 12 of them.
    end_ms = START_MS + 54 * HOUR_MS
    times = [
        at
        for at in every(QUARTER_MS, START_MS, end_ms)
        if not START_MS + 20 * HOUR_MS <= at < START_MS + 32 * HOUR_MS
    ]
    record_anywhere.take(times, down("node-2", START_MS + 3 * HOUR_MS, START_MS + 6 * HOUR_MS))
    page = record_anywhere.page()
    assert uptimes(page, "node-1") == {
        # From 6:00 of the second day on: 2 hours of it were not looked at.
        "24 h": "100 % 22 h of 22 h 91.66 % observed",
        "7 d": "100 % 1 d 18 h of 1 d 18 h 25.00 % observed",
        "30 d": "100 % 1 d 18 h of 1 d 18 h 5.83 % observed",
        "90 d": "100 % 1 d 18 h of 1 d 18 h 1.94 % observed",
    }
    # 39 of 42 hours.
    assert uptimes(page, "node-2")["7 d"] == "92.85 % 1 d 15 h of 1 d 18 h 25.00 % observed"
    assert uptimes(page, "node-2")["24 h"].startswith("100 % 22 h of 22 h")
    words = bar_words(page, "node-2")
    assert words.startswith(
        "node-2, 2026-08-15 to 2026-11-12: up 2 days, partly down 1 day, not observed 87 days."
    )
    assert "2026-11-10: partly down 3 h, 83.33 % observed" in words
    assert "2026-11-11" not in words.replace("2026-11-11 to", "")


def test_a_node_that_nobody_looked_at_is_not_observed_and_neither_up_nor_down(
    sqlite_url: str, tmp_path: Path
) -> None:
    page = page_of(full_document(this_tick_ms()), sqlite_url, tmp_path)
    for name in ("node-1", "node-2", "node-3"):
        assert set(uptimes(page, name).values()) == {"not observed"}
        assert "not observed 90 days" in bar_words(page, name)
    assert "%" not in " ".join(one.text for one in page.all("dl", "uptimes"))


def test_a_slow_node_is_up(record: PageRecord) -> None:
    def change(_at_ms: int, document: Document) -> None:
        document["nodes"][0]["status"] = "warn"

    record.take(every(QUARTER_MS, START_MS, START_MS + 30 * HOUR_MS), change)
    assert uptimes(record.page(), "node-1")["24 h"] == "100 % 1 d of 1 d 100 % observed"


def test_each_bar_has_its_first_and_last_day_and_all_have_one_legend(record: PageRecord) -> None:
    record.take(every(QUARTER_MS, START_MS, START_MS + 30 * HOUR_MS))
    page = record.page()
    bars = page.by_id("panel-nodes").all("div", "node")
    assert len(bars) == 3
    for one in bars:
        assert one.all("p", "ends")[0].text == "2026-08-14 2026-11-11"
    (legend,) = page.by_id("panel-nodes").all("p", "legends")
    assert legend.text == "up down not observed A cell is a day, as high as it was observed."
    # In the legend, too, shapes differ.
    assert len({path.attributes["d"] for path in legend.all("path")}) == 3


def test_up_to_when_they_are_told_is_said(record: PageRecord) -> None:
    record.take(every(QUARTER_MS, START_MS, START_MS + 30 * HOUR_MS + QUARTER_MS))
    heading = record.page().by_id("panel-nodes").all("h3")[0].text
    assert heading == "Availability by days of UTC, up to 2026-11-11 06:00:00 UTC"


def test_days_that_are_over_are_read_once(record: PageRecord) -> None:
    record.take(every(QUARTER_MS, START_MS, START_MS + 30 * HOUR_MS))
    engine = record.visitor.application.extensions["opsnap_record"]._engine
    read: list[int] = []

    def note(
        _connection: object, _cursor: object, _statement: str, told: object, *_: object
    ) -> None:
        if isinstance(told, tuple):
            read.extend(one for one in told if isinstance(one, int) and one > DAY_MS)

    event.listen(engine, "before_cursor_execute", note)
    record.page(START_MS + 26 * HOUR_MS)
    assert min(read) < START_MS - 80 * DAY_MS
    days_of = record.visitor.application.extensions["opsnap_pages"]._retrospects._past_hours
    known = days_of._availabilities._days
    # 89 days before today, of three nodes.
    assert len(known) == 89 * 3
    read.clear()
    with engine.connect() as connection:
        days_of._availabilities._days_until(
            connection, ["node-1", "node-2", "node-3"], START_MS + 27 * HOUR_MS
        )
    assert min(read) >= START_MS


def test_a_day_that_is_not_rolled_up_yet_is_read_again(record: PageRecord) -> None:
    record.take(every(QUARTER_MS, START_MS, START_MS + 20 * HOUR_MS))
    assert uptimes(record.page(START_MS + 19 * HOUR_MS), "node-1")["24 h"].startswith("100 %")
    record.take(
        every(QUARTER_MS, START_MS + 20 * HOUR_MS + QUARTER_MS, START_MS + 50 * HOUR_MS),
        down("node-1", START_MS, START_MS + 99 * HOUR_MS),
    )
    words = bar_words(record.page(START_MS + 49 * HOUR_MS), "node-1")
    assert "2026-11-10: partly down 3 h 45 min, 100 % observed" in words
    assert "2026-11-11: down 1 d, 100 % observed" in words
