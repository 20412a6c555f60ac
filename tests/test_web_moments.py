"""Going to other moments, and finding there the page that stood there."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.support.documents import Document, full_document, iso, store
from tests.support.markup import Element, parse
from tests.support.page_record import (
    DAY_MS,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    PageRecord,
    every,
)
from tests.support.records import rows
from tests.support.visitors import BROWSER, visitor_of

#: Two snapshots in every five minutes.
INTERVAL_MS = 150_000
TAKEN = (START_MS, START_MS + INTERVAL_MS, START_MS + 4 * INTERVAL_MS, START_MS + 5 * INTERVAL_MS)


@pytest.fixture
def record(sqlite_url: str, tmp_path: Path) -> PageRecord:
    """Four snapshots; two ticks between the second and the third were missed."""
    record = PageRecord(sqlite_url, tmp_path, INTERVAL_MS)
    record.take(TAKEN)
    return record


@pytest.fixture
def record_anywhere(store_url: str, tmp_path: Path) -> PageRecord:
    record = PageRecord(store_url, tmp_path, INTERVAL_MS)
    record.take(TAKEN)
    return record


def links(page: Element) -> dict[str, str]:
    """Return the addresses of the other moments by the texts of their links."""
    (nav,) = page.all("nav", "moments")
    return {link.text: link.attributes["href"] for link in nav.all("a")}


def taken_at(answer: TestResponse) -> str:
    assert answer.status_code == 200, answer.status
    return parse(answer.text).by_id("foot").all("time")[0].attributes["datetime"]


def test_previous_and_next_lead_to_the_neighbours_whatever_lies_between(
    record_anywhere: PageRecord,
) -> None:
    first, second, third, _ = TAKEN
    for here, to, link in (
        (second, first, "‹ Previous"),
        (third, second, "‹ Previous"),
        (first, second, "Next ›"),
        (second, third, "Next ›"),
    ):
        answer = record_anywhere.visitor.get(links(record_anywhere.page(here))[link])
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/engineering?at={iso(to)}"
        # Which one it is depends on what is kept: nobody may keep the answer.
        assert answer.headers["Cache-Control"] == "no-cache"
        assert taken_at(record_anywhere.visitor.get(answer.headers["Location"])) == iso(to)


def test_the_one_after_the_last_but_one_is_the_present(record: PageRecord) -> None:
    answer = record.visitor.get(links(record.page(TAKEN[2]))["Next ›"])
    assert answer.headers["Location"] == "/engineering"


def test_from_the_present_the_way_leads_back_only(record: PageRecord) -> None:
    page = record.page()
    assert list(links(page)) == ["‹ Previous", "−1 h earlier", "−1 d earlier", "Oldest"]
    assert "This is the newest" in page.all("nav", "moments")[0].text
    answer = record.visitor.get(links(page)["‹ Previous"])
    assert answer.headers["Location"] == f"/engineering?at={iso(TAKEN[2])}"


def test_the_oldest_snapshot_is_one_step_away(record: PageRecord) -> None:
    answer = record.visitor.get(links(record.page())["Oldest"])
    assert answer.headers["Location"] == f"/engineering?at={iso(TAKEN[0])}"


def test_at_its_ends_the_record_says_that_it_ends(record: PageRecord) -> None:
    before_first = record.visitor.get(links(record.page(TAKEN[0]))["‹ Previous"], headers=BROWSER)
    after_last = record.visitor.get(f"/engineering?after={iso(TAKEN[3])}", headers=BROWSER)
    for answer, words in (
        (before_first, "the record begins here, no earlier snapshot was taken"),
        (after_last, "this is the newest, no later snapshot has been taken yet"),
    ):
        assert answer.status_code == 404
        assert words in parse(answer.text).all("main")[0].text
        assert answer.headers["Cache-Control"] == "no-store"


def test_an_hour_and_a_day_are_fixed_moments(record: PageRecord) -> None:
    ways = links(record.page(TAKEN[1]))
    told = {text: parse_qs(urlsplit(way).query)["at"] for text, way in ways.items() if "1" in text}
    assert told == {
        "−1 h earlier": ["2026-11-09T23:02:30.000Z"],
        "−1 d earlier": ["2026-11-09T00:02:30.000Z"],
        "+1 h later": ["2026-11-10T01:02:30.000Z"],
        "+1 d later": ["2026-11-11T00:02:30.000Z"],
    }


def test_the_field_has_the_pages_moment_and_any_other_can_be_sent(record: PageRecord) -> None:
    page = record.page(TAKEN[1])
    (form,) = page.all("form")
    assert form.attributes == {"action": "/engineering"}
    (field, submit) = form.all("input")
    assert field.attributes | {"step": "", "required": ""} == {
        "type": "datetime-local",
        "id": "at",
        "name": "at",
        "step": "",
        "required": "",
        "value": "2026-11-10T00:02:30",
    }
    assert form.all("label")[0].attributes == {"for": "at"}
    assert "UTC" in form.all("label")[0].text
    # A form's own button has no name, so that nothing but the moment is sent.
    assert submit.attributes == {"type": "submit", "value": "Go"}


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ("2026-11-10T00:02", 0),
        ("2026-11-10T00:02:30", 1),
        ("2026-11-10T00:02:30.000", 1),
        ("2026-11-10T00%3A03", 1),
        ("2026-11-10T00:10:01", 2),
        ("2099-01-01T00:00", 3),
    ],
)
def test_what_a_browsers_field_sends_is_understood_as_utc(
    record: PageRecord, sent: str, taken: int
) -> None:
    assert taken_at(record.visitor.get(f"/engineering?at={sent}")) == iso(TAKEN[taken])


@pytest.mark.parametrize("query", ["before=x", "after=", "before=%00", "after=1e400", "before=-7"])
def test_what_is_no_time_is_a_bad_parameter(record: PageRecord, query: str) -> None:
    answer = record.visitor.get(f"/engineering?{query}")
    assert answer.status_code == 400
    body = answer.get_json()
    assert body["error"] == "bad_parameter"
    assert body["detail"].startswith(f"{query.split('=', maxsplit=1)[0]}: expected ISO 8601")


@pytest.mark.parametrize(
    "query", ["before=0&before=1", "at=0&before=1", "before=1&after=1", "at=1&after=1&before=2"]
)
def test_one_moment_at_a_time(record: PageRecord, query: str) -> None:
    answer = record.visitor.get(f"/engineering?{query}")
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "bad_parameter"


def test_under_a_prefix_the_ways_stay_under_it(record: PageRecord, tmp_path: Path) -> None:
    visitor = visitor_of(record.url, tmp_path, url_prefix="/ops")
    answer = visitor.get("/ops/engineering")
    assert all(way.startswith("/ops/engineering?") for way in links(parse(answer.text)).values())
    answer = visitor.get(f"/ops/engineering?before={iso(TAKEN[2])}")
    assert answer.headers["Location"] == f"/ops/engineering?at={iso(TAKEN[1])}"


def test_a_store_that_does_not_answer_is_told_and_no_fault(record: PageRecord) -> None:
    record.page()
    (Path(record.url.removeprefix("sqlite:///"))).unlink()
    for query in ("before=now", "after=0"):
        answer = record.visitor.get(f"/engineering?{query}")
        assert (answer.status_code, answer.get_json()["error"]) == (503, "store_unavailable")


def test_the_past_is_marked_in_words_on_its_whole_ground_and_in_its_title(
    record: PageRecord,
) -> None:
    past, present = record.page(TAKEN[0]), record.page()
    assert past.all("body")[0].attributes == {"class": "is-past"}
    assert present.all("body")[0].attributes == {}
    assert "then" in past.all("title")[0].text
    assert "This is the past" in past.all("div", "past")[0].text
    assert past.all("script") == []


def test_nothing_on_a_page_of_the_past_depends_on_when_it_is_asked_for(
    record: PageRecord,
) -> None:
    page = record.page(TAKEN[1])
    for element in page.walk():
        assert not {"data-since", "data-sent-at"} & element.attributes.keys()
        address = element.attributes.get("href", "")
        assert not re.search(r"=(now|-\d)", address), address


def test_the_page_of_yesterday_noon_is_the_same_after_a_week_of_new_data(
    sqlite_url: str, tmp_path: Path
) -> None:
    noon_ms = START_MS + 36 * HOUR_MS
    record = PageRecord(sqlite_url, tmp_path, INTERVAL_MS)

    def happen(at_ms: int, document: Document) -> None:
        document["queue"]["queued"] = at_ms // INTERVAL_MS % 41
        document["nodes"][0]["rtt_ms"] = 30 + at_ms // MINUTE_MS % 17
        if at_ms % DAY_MS > 11 * HOUR_MS and at_ms % (2 * HOUR_MS) > HOUR_MS + 40 * MINUTE_MS:
            document["nodes"][1] |= {"status": "err", "rtt_ms": None, "reason": "timeout"}

    def durations_us(at_ms: int) -> dict[str, list[int]]:
        return {"latency": [at_ms // 1000 % 977 + 1] * 3, "latency_admin": [at_ms // 1000 % 61 + 9]}

    # The day before in full, and on to the next noon, when it is asked for the first time.
    record.take(every(INTERVAL_MS, noon_ms - 25 * HOUR_MS, noon_ms), happen, durations_us)
    record.take(
        every(30 * MINUTE_MS, noon_ms + 30 * MINUTE_MS, noon_ms + DAY_MS), happen, durations_us
    )
    address = f"/engineering?at={iso(noon_ms)}"
    page, document = record.visitor.get(address), record.visitor.get(f"/api{address}")
    shown = parse(page.text)
    assert len(shown.all("a", "line")) > 40
    assert "node-2" in shown.by_id("incidents").text

    # A week of new data, in which what is older than two days is thinned.
    record.take(
        every(30 * MINUTE_MS, noon_ms + DAY_MS + 30 * MINUTE_MS, noon_ms + 8 * DAY_MS),
        happen,
        durations_us,
    )
    record.forget_all_but(snapshots=2 * DAY_MS, five_minutes=90 * DAY_MS)
    assert rows(sqlite_url, f"SELECT 1 FROM snapshots WHERE taken_at <= {noon_ms}") == []

    for visitor in (record.visitor, record.new_visitor()):
        again = visitor.get(address)
        assert again.data == page.data
        assert again.headers["ETag"] == page.headers["ETag"]
        same = visitor.get(f"/api{address}")
        assert same.data == document.data
        known = {"If-None-Match": page.headers["ETag"]}
        assert visitor.get(address, headers=known).status_code == 304
    assert document.get_json()["taken_at"] == iso(noon_ms)


def test_a_page_whose_roll_ups_are_still_to_come_is_another_one_once_they_are_made(
    sqlite_url: str, tmp_path: Path
) -> None:
    # Stored as the daemon does, before its upkeep has had time for roll-ups.
    times = every(2 * INTERVAL_MS, START_MS, START_MS + 7 * HOUR_MS)
    for at_ms in times:
        document = full_document(at_ms, interval_s=INTERVAL_MS // 1000)
        store(sqlite_url, document | {"nodes": document["nodes"][:1]})
    visitor = visitor_of(sqlite_url, tmp_path)
    address = f"/engineering?at={iso(START_MS + 2 * HOUR_MS)}"
    before = visitor.get(address)
    present = parse(visitor.get("/engineering").text)
    assert present.all("a", "line") == []
    assert "No history yet." in present.by_id("incidents").text
    record = PageRecord(sqlite_url, tmp_path, INTERVAL_MS)
    record.take([START_MS + 7 * HOUR_MS + INTERVAL_MS])
    after = visitor.get(address)
    assert parse(before.text).all("a", "line") == []
    assert parse(after.text).all("a", "line") != []
    assert before.headers["ETag"] != after.headers["ETag"]
    assert visitor.get(address).data == after.data
