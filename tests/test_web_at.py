"""`?at=TIME`: which snapshot it means, and what is answered when it means none."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.documents import (
    INTERVAL_MS,
    TAKEN_AT_MS,
    full_document,
    now_ms,
    small_document,
    store,
)
from tests.support.markup import parse
from tests.support.visitors import visitor_of

#: Taken at 10:13:30, 10:14:00 and 10:15:00; the one between was missed.
TAKEN = (TAKEN_AT_MS, TAKEN_AT_MS + INTERVAL_MS, TAKEN_AT_MS + 3 * INTERVAL_MS)


@pytest.fixture
def visitor(store_url: str, tmp_path: Path) -> FlaskClient:
    for taken_at_ms in TAKEN:
        store(store_url, small_document(taken_at_ms))
    return visitor_of(store_url, tmp_path)


@pytest.fixture
def local_visitor(sqlite_url: str, tmp_path: Path) -> FlaskClient:
    for taken_at_ms in TAKEN:
        store(sqlite_url, small_document(taken_at_ms))
    return visitor_of(sqlite_url, tmp_path)


def test_a_time_means_the_newest_snapshot_taken_by_then(visitor: FlaskClient) -> None:
    first, second, third = (f"2026-11-20T10:{at}.000Z" for at in ("13:30", "14:00", "15:00"))
    meant = {
        "2026-11-20T10:13:30Z": first,
        "2026-11-20T10:13:59.999Z": first,
        "2026-11-20T10:14:00Z": second,
        "2026-11-20 10:14": second,
        "2026-11-20T12:14:00%2B02:00": second,
        "2026-11-20T12:14:00+02:00": second,
        "2026-11-20T12:14:00+0200": second,
        "2026-11-20T05:14:00-05:00": second,
        "2026-11-20T10:14:59Z": second,
        "1795169610": first,
        "1795169639.999": first,
        "1795169640": second,
        "2026-11-21": third,
        "9999-01-01": third,
    }
    answers = {at: visitor.get(f"/api/engineering?at={at}") for at in meant}
    assert {at: answer.get_json()["taken_at"] for at, answer in answers.items()} == meant
    pages = {at: parse(visitor.get(f"/engineering?at={at}").text) for at in meant}
    shown = {at: page.by_id("foot").all("time")[0] for at, page in pages.items()}
    assert {at: time.attributes["datetime"] for at, time in shown.items()} == meant


def test_relative_times_count_back_from_now(sqlite_url: str, tmp_path: Path) -> None:
    now = now_ms()
    for age_s in (86_400 * 8, 3600 * 7, 600, 5):
        store(sqlite_url, small_document(now - age_s * 1000, platform={"name": str(age_s)}))
    visitor = visitor_of(sqlite_url, tmp_path)
    asked = {"-7d": 86_400 * 8, "-1w": 86_400 * 8, "-6h": 3600 * 7, "-15m": 3600 * 7, "-9m": 600}
    for at, age_s in {**asked, "now": 5}.items():
        answer = visitor.get(f"/api/engineering?at={at}")
        assert answer.get_json()["platform"]["name"] == str(age_s), at


def test_before_the_first_snapshot_nothing_is_found(visitor: FlaskClient) -> None:
    for at in ("2026-11-20T10:13:29.999Z", "1795169609.999", "1970-01-01", "0"):
        for path in ("/engineering", "/api/engineering"):
            assert_finds_nothing(visitor.get(f"{path}?at={at}"))


def test_nothing_is_found_before_the_epoch_either(local_visitor: FlaskClient) -> None:
    # Each is a good ISO 8601 time, and no parameter to complain of.
    for at in ("1969-12-31T23:59:59Z", "1960-01-01", "0001-01-01"):
        assert_finds_nothing(local_visitor.get(f"/api/engineering?at={at}"))


def assert_finds_nothing(answer: TestResponse) -> None:
    assert (answer.status_code, answer.content_type) == (404, "application/json")
    body = answer.get_json()
    assert (body["ok"], body["error"]) == (False, "no_snapshot")


@pytest.mark.parametrize("path", ["/engineering", "/api/engineering"])
@pytest.mark.parametrize("at", ["yesterday", "", "-7", "NaN", "2026-13-01", "%00", "1e400", "%FF"])
def test_what_is_no_time_is_a_bad_parameter(local_visitor: FlaskClient, path: str, at: str) -> None:
    answer = local_visitor.get(f"{path}?at={at}")
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    body = answer.get_json()
    assert body == {"ok": False, "error": "bad_parameter", "detail": body["detail"]}
    assert body["detail"].startswith("at: expected ISO 8601, epoch seconds")
    assert "yesterday" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("query", ["at=now&at=now", "at=0&at=now", "at=&at=&at="])
def test_a_time_told_twice_is_a_bad_parameter(local_visitor: FlaskClient, query: str) -> None:
    answer = local_visitor.get(f"/api/engineering?{query}")
    assert answer.status_code == 400
    assert answer.get_json() == {
        "ok": False,
        "error": "bad_parameter",
        "detail": "at: expected one value",
    }


def test_before_the_first_snapshot_of_all_a_time_means_none(
    sqlite_url: str, tmp_path: Path
) -> None:
    assert visitor_of(sqlite_url, tmp_path).get("/api/engineering?at=now").status_code == 404


def test_a_query_of_something_else_is_not_about_the_past(local_visitor: FlaskClient) -> None:
    newest = local_visitor.get("/api/engineering")
    for query in ("?", "?utm_source=x", "?AT=0", "?tat=0"):
        assert local_visitor.get(f"/api/engineering{query}").data == newest.data


def test_the_data_that_a_page_of_the_past_links_to_is_its_own(
    sqlite_url: str, tmp_path: Path
) -> None:
    # Taken at once on start, so not on a whole second.
    stored = store(sqlite_url, full_document(TAKEN_AT_MS + 10_007))
    store(sqlite_url, full_document(TAKEN_AT_MS + INTERVAL_MS))
    visitor = visitor_of(sqlite_url, tmp_path)
    page = parse(visitor.get("/engineering?at=2026-11-20T10:13:45Z").text)
    (link,) = page.by_id("foot").all("a")
    assert visitor.get(link.attributes["href"]).data == stored.encode()
