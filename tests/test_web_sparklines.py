"""The lines beside the numbers: what is drawn is what was recorded, and a gap is a gap."""

import math
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import event

from store.engines import open_reader
from tests.support.documents import Document, full_document, this_tick_ms
from tests.support.markup import Element
from tests.support.page_record import (
    DAY_MS,
    HOUR_MS,
    INTERVAL_MS,
    MINUTE_MS,
    START_MS,
    PageRecord,
    drawn,
    every,
    line_of,
)
from tests.support.properties import unhurried
from tests.support.records import change
from tests.support.visitors import page_of
from web.day import LastDay, day_before
from web.sparkline import Point, Sparkline

QUARTER_MS = 15 * MINUTE_MS
TOP, BOTTOM, MIDDLE = 2, 22, 12
finite = st.floats(-1e9, 1e9, allow_subnormal=False)
points = st.tuples(finite, finite, finite).map(lambda three: Point(*sorted(three)))


def flat(value: float) -> Point:
    return Point(value, value, value)


def queued(course: Callable[[int], int | None]) -> Callable[[int, Document], None]:
    """Let the queue have a length that depends on the time."""

    def change_document(at_ms: int, document: Document) -> None:
        document["queue"]["queued"] = course(at_ms)

    return change_document


@pytest.fixture
def record(sqlite_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(sqlite_url, tmp_path)


@pytest.fixture
def record_anywhere(store_url: str, tmp_path: Path) -> PageRecord:
    return PageRecord(store_url, tmp_path)


def line_paths(line: Element | None) -> tuple[str, str]:
    """Return what is drawn of a line: the line, and the band behind it, "" without one."""
    assert line is not None
    told = {one.attributes.get("class", "line"): one.attributes["d"] for one in line.all("path")}
    return told["line"], told.get("band", "")


def title(line: Element | None) -> str:
    assert line is not None
    return line.attributes["title"]


def test_a_line_goes_from_the_lowest_at_the_bottom_to_the_highest_at_the_top() -> None:
    line = Sparkline.of([flat(5), flat(10), flat(7.5), flat(7.5)])
    assert line is not None
    assert drawn(line.line) == [[(0, BOTTOM), (1, TOP), (2, MIDDLE), (3, MIDDLE)]]
    assert (line.lowest, line.highest, line.width, line.band) == (5, 10, 3, "")


def test_a_gap_is_a_gap_and_a_point_alone_is_a_dot() -> None:
    line = Sparkline.of([flat(1), flat(2), None, flat(2), None, None, flat(1), flat(1)])
    assert line is not None
    assert drawn(line.line) == [
        [(0, BOTTOM), (1, TOP)],
        [(3, TOP), (3, TOP)],
        [(6, BOTTOM), (7, BOTTOM)],
    ]


def test_what_never_changes_is_level_in_the_middle() -> None:
    line = Sparkline.of([flat(0.1)] * 5)
    assert line is not None
    assert drawn(line.line) == [[(0, MIDDLE), (4, MIDDLE)]]


def test_less_than_two_points_are_no_line() -> None:
    assert Sparkline.of([]) is None
    assert Sparkline.of([None] * 96) is None
    assert Sparkline.of([None, flat(3), None]) is None


def test_behind_the_line_is_the_band_of_all_values() -> None:
    line = Sparkline.of([Point(0, 5, 10), Point(4, 5, 5), None, Point(5, 5, 5), Point(0, 0, 5)])
    assert line is not None
    assert (line.lowest, line.highest) == (0, 10)
    first, second = drawn(line.band)
    # 10, 5 and 4 of 10 are 20, 10 and 8 pixels over the bottom.
    assert first == [(0, 2), (1, 12), (1, 14), (0, 22)]
    assert second == [(3, 12), (4, 12), (4, 22), (3, 12)]


@unhurried
@given(st.lists(st.none() | points, min_size=2, max_size=120))
@example([Point(0, 0, 0), Point(0, 5e-324, 5e-324)])
@example([Point(-1e290, 0, 1e290), None, Point(0, 0, 1e290)])
def test_of_any_values_each_point_is_drawn_once_where_it_belongs(
    told: list[Point | None],
) -> None:
    line = Sparkline.of(told)
    known = {at: point for at, point in enumerate(told) if point is not None}
    if len(known) < 2:
        assert line is None
        return
    assert line is not None
    lowest, highest = min(p.low for p in known.values()), max(p.high for p in known.values())
    assert (line.lowest, line.highest) == (lowest, highest)
    seen: dict[int, int] = {}
    for part in drawn(line.line):
        for (x, y), (next_x, next_y) in pairwise(part):
            # Level parts are drawn as one.
            assert next_x == x + 1 or next_y == y
            seen.update(dict.fromkeys(range(x, next_x), y))
        seen[part[-1][0]] = part[-1][1]
    assert seen.keys() == known.keys()
    for x, y in seen.items():
        share = (known[x].value / 2 - lowest / 2) / max(highest / 2 - lowest / 2, 1e-300)
        expected = BOTTOM - 20 * share if highest - lowest > 1e-300 else MIDDLE
        assert abs(y - expected) <= 0.5 + 1e-6
    for part in drawn(line.band):
        assert all(TOP <= y <= BOTTOM for _, y in part)


def test_a_number_has_its_last_24_hours_in_columns_of_15_minutes(record: PageRecord) -> None:
    # Three snapshots a quarter of an hour, of 3n, 3n + 1 and 3n + 5 queued in the n-th quarter.
    end_ms = START_MS + 25 * HOUR_MS

    def course(at_ms: int) -> int:
        quarter, part = divmod(at_ms - START_MS, QUARTER_MS)
        return 3 * (quarter % 60) + (0, 1, 5)[part // INTERVAL_MS]

    record.take(every(INTERVAL_MS, START_MS, end_ms), queued(course))
    line, band = line_paths(line_of(record.page(), "Queued"))
    quarters = [(n % 60) * 3 for n in range(4, 100)]
    assert len(quarters) == 96
    # From 0, the lowest, to 182, the highest: 20 pixels.
    (part,) = drawn(line)
    heights = [BOTTOM - y for _, y in spread(part)]
    assert heights == pytest.approx([20 * (n + 2) / 182 for n in quarters], abs=0.51)
    assert [x for x, _ in spread(part)] == list(range(96))
    assert title(line_of(record.page(), "Queued")) == (
        "Queued, the last 24 h: lowest 0, highest 182; now 120"
    )
    assert band == ""


def spread(part: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return a part's points with those of its level steps."""
    points = [part[0]]
    for (x, _), (next_x, y) in pairwise(part):
        points += [(between, y) for between in range(x + 1, next_x + 1)]
    return points


def test_a_time_without_snapshots_is_a_gap_in_every_line(record_anywhere: PageRecord) -> None:
    end_ms = START_MS + 30 * HOUR_MS
    before = every(QUARTER_MS, START_MS, START_MS + 20 * HOUR_MS - 1)
    after = every(QUARTER_MS, START_MS + 23 * HOUR_MS, end_ms)
    record_anywhere.take([*before, *after], queued(lambda at_ms: at_ms // HOUR_MS % 7))
    page = record_anywhere.page()
    for name in ("Queued", "node-1: round trip", "Comments", "Renditions"):
        line, _ = line_paths(line_of(page, name))
        # The line begins at 6:00: 56 columns to 20:00, none to 23:00, 28 to 6:00.
        assert [(part[0][0], part[-1][0]) for part in drawn(line)] == [(0, 55), (68, 95)]


def test_an_unknown_number_has_no_point_and_still_has_its_line(record: PageRecord) -> None:
    end_ms = START_MS + 7 * HOUR_MS

    def change_document(at_ms: int, document: Document) -> None:
        if at_ms > end_ms - HOUR_MS:
            document["nodes"][0] |= {"rtt_ms": None, "status": "err", "reason": "timeout"}
        else:
            document["nodes"][0]["rtt_ms"] = 41.25 + (at_ms // HOUR_MS) % 2

    record.take(every(INTERVAL_MS, START_MS, end_ms), change_document)
    line = line_of(record.page(), "node-1: round trip")
    assert title(line) == (
        "node-1: round trip, the last 24 h: lowest 41.2 ms, highest 42.2 ms; now unknown"
    )
    told, _ = line_paths(line)
    # The last hour has nothing but its first moment.
    assert max(x for part in drawn(told) for x, _ in part) == 96 - 4


def test_what_a_section_carries_from_before_is_no_point(record: PageRecord) -> None:
    end_ms = START_MS + 8 * HOUR_MS

    def change_document(at_ms: int, document: Document) -> None:
        if at_ms >= end_ms - 2 * HOUR_MS:
            document["sections"]["queue"] |= {"status": "stale", "reason": "locked"}

    record.take(every(INTERVAL_MS, START_MS, end_ms), change_document)
    told, _ = line_paths(line_of(record.page(), "Queued"))
    assert drawn(told) == [[(96 - 32, MIDDLE), (96 - 9, MIDDLE)]]


def test_a_percentile_has_that_of_all_requests_of_each_half_hour(
    record_anywhere: PageRecord,
) -> None:
    end_ms = START_MS + 24 * HOUR_MS

    def durations_us(at_ms: int) -> dict[str, list[int]]:
        half_hour = (at_ms - START_MS) // (30 * MINUTE_MS)
        # Six snapshots a half hour, of which one has a slow request: 1 of 60.
        slow = [half_hour * 10_000 + 500_000] if at_ms % (30 * MINUTE_MS) == 0 else [1000]
        return {"latency": [1000] * 9 + slow}

    record_anywhere.take(every(INTERVAL_MS, START_MS, end_ms), durations_us=durations_us)
    page = record_anywhere.page()
    p99, _ = line_paths(line_of(page, "The panel of latency: p99"))
    p95, _ = line_paths(line_of(page, "The panel of latency: p95"))
    (part,) = drawn(p99)
    # Nearest rank: p99 of 60 is the 60th, the slow one; p95 is the 57th, one of the others.
    assert [BOTTOM - y for _, y in spread(part)] == pytest.approx(
        [20 * n / 47 for n in range(48)], abs=0.51 + 20 * 0.001
    )
    assert drawn(p95) == [[(0, MIDDLE), (47, MIDDLE)]]
    told = title(line_of(page, "The panel of latency: p99"))
    assert "the last 24 h, of every 30 min: lowest 500 ms, highest 970 ms; now 48.7 ms" in told


def test_a_lines_link_leads_to_the_same_numbers(record: PageRecord) -> None:
    end_ms = START_MS + 26 * HOUR_MS
    record.take(every(QUARTER_MS, START_MS, end_ms), queued(lambda at_ms: at_ms // QUARTER_MS % 97))
    line = line_of(record.page(START_MS + 25 * HOUR_MS), "Queued")
    assert line is not None
    answer = record.visitor.get(line.attributes["href"])
    assert answer.status_code == 200, answer.text
    told = answer.get_json()
    assert told["from"] == "2026-11-10T01:00:00.000Z"
    assert told["to"] == "2026-11-11T01:00:00.000Z"
    (series,) = told["series"]
    assert series["metric"] == "queue.queued"
    low = min(one for one in series["min"] if one is not None)
    high = max(one for one in series["max"] if one is not None)
    assert f"lowest {low:.0f}, highest {high:.0f};" in line.attributes["title"]


def test_every_line_of_the_present_has_a_link_that_is_answered(record: PageRecord) -> None:
    # The last 24 h count back from now, so the record has to be of now.
    now_ms = this_tick_ms(INTERVAL_MS)
    times = every(INTERVAL_MS, now_ms - 7 * HOUR_MS, now_ms)
    record.take(times, durations_us=lambda at_ms: {"latency": [at_ms % 999 + 1]})
    lines = record.page().all("a", "line")
    assert len(lines) > 30
    for line in lines:
        answer = record.visitor.get(line.attributes["href"])
        assert answer.status_code == 200, (line.attributes, answer.text)
        (series,) = answer.get_json()["series"]
        assert series["coverage"] > 0, line.attributes


def test_beside_a_line_stand_its_lowest_and_its_highest_value(record: PageRecord) -> None:
    record.take(
        every(INTERVAL_MS, START_MS, START_MS + 5 * HOUR_MS),
        queued(lambda at_ms: at_ms // INTERVAL_MS % 1200),
    )
    page = record.page()
    low, high = title(line_of(page, "Queued")).split("lowest ")[1].split(";")[0].split(", highest ")
    line = line_of(page, "Queued")
    assert line is not None
    (ends,) = line.all("span", "ends")
    assert ends.text == f"{high} {low}"
    # To those who do not see it, the title says it.
    assert ends.attributes["aria-hidden"] == "true"
    assert {svg.attributes["aria-hidden"] for svg in line.all("svg")} == {"true"}
    # Of what did not change one value is enough.
    level = line_of(page, "Running")
    assert level is not None
    assert level.text == "6"


def test_one_snapshot_has_no_line_and_its_page_says_nothing_of_lines(
    sqlite_url: str, tmp_path: Path
) -> None:
    page = page_of(full_document(this_tick_ms()), sqlite_url, tmp_path)
    assert page.all("a", "line") == []
    assert "Beside a number" not in page.text


def test_a_young_record_has_lines_of_its_snapshots_since_it_began(record: PageRecord) -> None:
    times = [*every(10_000, START_MS, START_MS + 90_000), START_MS + 120_000]
    quick = PageRecord(record.url, record._directory, interval_ms=10_000)
    quick.take(times, queued(lambda at_ms: (at_ms - START_MS) // 10_000))
    page = quick.page()
    line = line_of(page, "Queued")
    # Ten snapshots, two ticks missed, and the newest.
    assert drawn(line_paths(line)[0])[0] == [(x, BOTTOM - round(20 * x / 12)) for x in range(10)]
    assert drawn(line_paths(line)[0])[1] == [(12, TOP), (12, TOP)]
    assert title(line) == (
        "Queued, since 2026-11-10 00:00:00 UTC, when the record begins: "
        "lowest 0, highest 12; now 12"
    )
    assert line_of(page, "The panel of latency: p95") is not None


def test_the_lines_of_a_young_record_grow_wider_columns_and_lose_nothing(
    record: PageRecord,
) -> None:
    quick = PageRecord(record.url, record._directory, interval_ms=10_000)
    value = {at: (at // 10_000 * 37) % 101 for at in every(10_000, START_MS, START_MS + HOUR_MS)}
    for begin in range(0, len(value), 90):
        quick.take(list(value)[begin : begin + 90], queued(lambda at_ms: value[at_ms]))
        so_far = list(value.values())[: begin + 90]
        line = line_of(quick.page(), "Queued")
        told = f"lowest {min(so_far)}, highest {max(so_far)}; now {so_far[-1]}"
        assert told in title(line)
        (part,) = drawn(line_paths(line)[0])
        assert 45 <= part[-1][0] - part[0][0] + 1 <= 97
        wait_for_the_next_look(quick)


def wait_for_the_next_look(record: PageRecord) -> None:
    """Let the visitor's process see what was stored: it looks when it is asked, some time later."""
    record.visitor.application.extensions["opsnap_record"]._newest._look_at = -math.inf


def test_a_day_that_is_moved_on_is_the_same_as_one_that_is_read_anew(record: PageRecord) -> None:
    kept = LastDay("test")
    reader = open_reader(record.url)
    taken: list[int] = []
    # Hours, a gap of half an hour, odd minutes, a gap of more than a day, and then more.
    steps_ms = [INTERVAL_MS] * 30 + [30 * MINUTE_MS] + [7 * MINUTE_MS] * 20 + [26 * HOUR_MS]
    at_ms = START_MS
    for step_ms in [*steps_ms, *[QUARTER_MS] * 10]:
        at_ms += step_ms
        taken.append(at_ms)
        record.take([at_ms], queued(lambda at: at // MINUTE_MS % 53))
        with reader.connect() as connection:
            assert kept.before(connection, at_ms) == day_before(connection, "test", at_ms)
    assert len(taken) == 62


def test_where_5_minutes_are_kept_no_more_a_line_is_of_hours(record: PageRecord) -> None:
    end_ms = START_MS + 60 * HOUR_MS
    record.take(every(QUARTER_MS, START_MS, end_ms), queued(lambda at_ms: (at_ms // HOUR_MS) % 24))
    record.forget_all_but(snapshots=HOUR_MS, five_minutes=12 * HOUR_MS)
    line = line_of(record.page(START_MS + DAY_MS), "Queued")
    (part,) = drawn(line_paths(line)[0])
    assert [BOTTOM - y for _, y in spread(part)] == pytest.approx(
        [20 * n / 23 for n in range(24)], abs=0.51
    )


def test_names_that_others_choose_stay_texts_in_lines_and_links(record: PageRecord) -> None:
    name = '"><svg onload=alert(1)>&metric=state.videos#.%2F'

    def change_document(_at_ms: int, document: Document) -> None:
        document["outcomes"] = {name: document["outcomes"]["latest"]}
        document["nodes"][0]["id"] = name

    record.take(every(INTERVAL_MS, START_MS, START_MS + 7 * HOUR_MS), change_document)
    page = record.page()
    for told in (f"{name}: CTR", f"{name}: round trip"):
        line = line_of(page, told)
        assert line is not None
        assert not [one for one in line.walk() if "onload" in one.attributes]
    line = line_of(page, f"{name}: CTR")
    assert line is not None
    absolute = line.attributes["href"].replace("from=-24h", "from=2026-11-10&to=2026-11-11")
    (series,) = record.visitor.get(absolute).get_json()["series"]
    assert series["metric"] == f"outcomes.{name}.ctr"


def test_without_its_history_the_page_stands_and_says_so(record: PageRecord) -> None:
    record.take(every(INTERVAL_MS, START_MS, START_MS + 7 * HOUR_MS))
    change(record.url, "DROP TABLE rollup_values", "DROP TABLE status_changes")
    page = record.page()
    assert page.by_id("panel-queue").figures()["Queued"] == "15"
    assert page.all("a", "line") == []
    for part in (page.by_id("incidents"), page.by_id("panel-nodes")):
        assert "the record does not answer" in part.text
    past = record.page(START_MS + HOUR_MS)
    assert past.all("a", "line") == []
    assert past.by_id("panel-queue").figures()["Queued"] == "15"


def test_visitors_of_one_snapshot_read_its_history_once(record: PageRecord) -> None:
    times = every(INTERVAL_MS, START_MS, START_MS + 7 * HOUR_MS)
    record.take(times)
    asked: list[str] = []
    engine = record.visitor.application.extensions["opsnap_record"]._engine

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    record.page()
    first = len([one for one in asked if "rollup_" in one])
    assert first > 0
    asked.clear()
    for _ in range(30):
        record.page()
    assert [one for one in asked if "rollup_" in one] == []


def test_while_one_visitor_waits_for_the_store_the_others_have_the_page_before(
    record: PageRecord,
) -> None:
    end_ms = START_MS + 7 * HOUR_MS
    record.take(every(INTERVAL_MS, START_MS, end_ms))
    assert record.page().by_id("foot").text.startswith("Generated at 2026-11-10 07:00:00")
    app = record.visitor.application
    is_asked, may_answer = threading.Event(), threading.Event()

    def hold(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "rollup_" in statement:
            is_asked.set()
            assert may_answer.wait(20)

    event.listen(app.extensions["opsnap_record"]._engine, "before_cursor_execute", hold)
    record.take([end_ms + INTERVAL_MS])
    wait_for_the_next_look(record)
    waiting = app.test_client()
    answers: list[str] = []
    visitor = threading.Thread(target=lambda: answers.append(waiting.get("/engineering").text))
    visitor.start()
    try:
        assert is_asked.wait(20)
        began = time.monotonic()
        assert record.page().by_id("foot").text.startswith("Generated at 2026-11-10 07:00:00")
        assert time.monotonic() - began < 5
    finally:
        may_answer.set()
        visitor.join()
    assert "Generated at <time" in answers[0]
    assert "2026-11-10 07:05:00 UTC" in answers[0]
