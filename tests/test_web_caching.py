"""What a visitor's cache is told: conditional requests, and how long an answer holds."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.documents import (
    INTERVAL_MS,
    full_document,
    iso,
    now_ms,
    small_document,
    store,
    this_tick_ms,
)
from tests.support.markup import parse
from tests.support.visitors import visitor_of
from tests.support.waiting import wait_for

PATHS = ("/engineering", "/api/engineering")


@pytest.fixture
def visitor(sqlite_url: str, tmp_path: Path) -> FlaskClient:
    """A visitor of a record with a snapshot of this tick and one of the tick before."""
    store(sqlite_url, small_document(this_tick_ms() - INTERVAL_MS))
    store(sqlite_url, full_document(this_tick_ms()))
    return visitor_of(sqlite_url, tmp_path)


def asked_again(visitor: FlaskClient, path: str, known: str) -> TestResponse:
    return visitor.get(path, headers={"If-None-Match": known})


@pytest.mark.parametrize("path", [*PATHS, "/api/engineering?at=now", "/engineering?at=-10s"])
def test_what_a_visitor_has_already_is_not_sent_again(
    store_url: str, tmp_path: Path, path: str
) -> None:
    store(store_url, full_document(this_tick_ms() - INTERVAL_MS))
    visitor = visitor_of(store_url, tmp_path)
    first = visitor.get(path)
    tag = first.headers["ETag"]
    # nginx drops strong tags when it compresses.
    assert re.fullmatch(r'W/"[\w-]+"', tag)
    again = asked_again(visitor, path, tag)
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == tag
    assert "Cache-Control" in again.headers
    # A cache would take it over: it says of what type the body is that it kept.
    assert "Content-Type" not in again.headers


@pytest.mark.parametrize("path", PATHS)
def test_a_tag_is_known_among_others_and_in_any_form(visitor: FlaskClient, path: str) -> None:
    tag = visitor.get(path).headers["ETag"]
    for known in (f'"other", {tag}', f'{tag}, W/"other"', tag.removeprefix("W/"), "*"):
        assert asked_again(visitor, path, known).status_code == 304, known
    for unknown in ('W/"other"', '""', "", '"', "W/", tag[:-2] + '"'):
        assert asked_again(visitor, path, unknown).status_code == 200, unknown


@pytest.mark.parametrize("path", PATHS)
def test_a_new_snapshot_has_a_new_tag(sqlite_url: str, tmp_path: Path, path: str) -> None:
    store(sqlite_url, full_document(this_tick_ms() - INTERVAL_MS))
    visitor = visitor_of(sqlite_url, tmp_path)
    tag = visitor.get(path).headers["ETag"]
    store(sqlite_url, full_document(this_tick_ms()))

    def renewed() -> TestResponse | None:
        answer = asked_again(visitor, path, tag)
        return answer if answer.status_code == 200 else None

    assert wait_for(renewed, "an answer with the new snapshot").headers["ETag"] != tag


def test_the_tag_of_the_page_tells_present_from_past(sqlite_url: str, tmp_path: Path) -> None:
    # The same snapshot, yet two pages: once it has a successor, it is the past.
    first_ms = this_tick_ms() - INTERVAL_MS
    store(sqlite_url, full_document(first_ms))
    visitor = visitor_of(sqlite_url, tmp_path)
    address = f"/engineering?at={iso(first_ms)}"
    present = visitor.get(address)
    store(sqlite_url, full_document(this_tick_ms()))

    def renewed() -> TestResponse | None:
        answer = visitor.get(address)
        return (
            answer if answer.data != present.data and b"This is the past" in answer.data else None
        )

    past = wait_for(renewed, "the page as the past")
    assert b"This is the past" not in present.data
    assert present.headers["ETag"] != past.headers["ETag"]


def test_the_newest_snapshot_is_the_present_also_when_it_is_asked_for_by_time(
    sqlite_url: str, tmp_path: Path
) -> None:
    store(sqlite_url, full_document(this_tick_ms()))
    visitor = visitor_of(sqlite_url, tmp_path)
    assert b"This is the past" not in visitor.get("/engineering?at=now").data


def test_the_tag_of_the_page_changes_when_its_snapshot_expires(
    sqlite_url: str, tmp_path: Path
) -> None:
    expires_at_ms = now_ms() + 1500
    store(sqlite_url, full_document(this_tick_ms(), expires_at=iso(expires_at_ms)))
    visitor = visitor_of(sqlite_url, tmp_path)
    first = visitor.get("/engineering")
    tag = first.headers["ETag"]
    assert parse(first.text).by_id("banner").text == ""
    wait_for(lambda: now_ms() > expires_at_ms, "the snapshot to expire")
    page = asked_again(visitor, "/engineering", tag)
    assert page.status_code == 200
    assert "Out of date" in parse(page.text).by_id("banner").text


def test_a_page_kept_for_a_second_does_not_outlive_its_snapshot(
    sqlite_url: str, tmp_path: Path
) -> None:
    wait_for(lambda: 50 < now_ms() % 1000 < 300, "the first third of a second")
    second_ms = now_ms() // 1000 * 1000
    store(sqlite_url, full_document(second_ms, expires_at=iso(second_ms + 700)))
    visitor = visitor_of(sqlite_url, tmp_path)
    assert visitor.get("/engineering").status_code == 200
    wait_for(lambda: now_ms() > second_ms + 710, "the snapshot to expire within this second")
    assert "Out of date" in parse(visitor.get("/engineering").text).by_id("banner").text


@pytest.mark.parametrize("since_tick_ms", [0, 11_003])
def test_the_newest_document_may_be_kept_until_its_successor_is_due(
    sqlite_url: str, tmp_path: Path, since_tick_ms: int
) -> None:
    # Hours, so that no tick comes in between; the first on start is taken off the grid.
    hour_ms = 3_600_000
    tick_ms = this_tick_ms(hour_ms)
    store(sqlite_url, full_document(tick_ms + since_tick_ms, interval_s=3600))
    visitor = visitor_of(sqlite_url, tmp_path)
    before_ms = now_ms()
    told = visitor.get("/api/engineering").headers["Cache-Control"]
    after_ms = now_ms()
    longest_s, shortest_s = ((tick_ms + hour_ms - at) // 1000 for at in (before_ms, after_ms))
    assert shortest_s <= max_age_s(told) <= longest_s
    assert "public" in told
    assert "immutable" not in told


def test_the_newest_is_not_kept_once_its_successor_is_overdue(
    sqlite_url: str, tmp_path: Path
) -> None:
    store(sqlite_url, full_document(now_ms() - INTERVAL_MS - 1))
    answer = visitor_of(sqlite_url, tmp_path).get("/api/engineering")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_the_page_is_always_asked_for_again_because_it_tells_its_age(visitor: FlaskClient) -> None:
    assert visitor.get("/engineering").headers["Cache-Control"] == "no-cache"


def test_an_old_document_never_changes_and_may_be_kept_for_ever(
    store_url: str, tmp_path: Path
) -> None:
    tick_ms = this_tick_ms()
    store(store_url, small_document(tick_ms - INTERVAL_MS))
    store(store_url, small_document(tick_ms))
    visitor = visitor_of(store_url, tmp_path)
    for at in (iso(tick_ms - 1), str((tick_ms - 1) / 1000), iso(tick_ms - INTERVAL_MS)):
        told = visitor.get(f"/api/engineering?at={at}").headers["Cache-Control"]
        assert "immutable" in told
        assert max_age_s(told) >= 31_536_000


def test_what_may_mean_another_snapshot_later_is_not_kept_for_ever(visitor: FlaskClient) -> None:
    # The newest may have a successor before the time that is asked for; "-30s" moves on.
    for at in (iso(this_tick_ms()), iso(now_ms() + 86_400_000), "now", "-30s"):
        told = visitor.get(f"/api/engineering?at={at}").headers["Cache-Control"]
        assert told == "no-cache", at


def test_an_error_is_never_kept(visitor: FlaskClient) -> None:
    for path in ("/api/engineering?at=0", "/api/engineering?at=x", "/engineering?at=x", "/no"):
        answer = visitor.get(path)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "ETag" not in answer.headers


def test_static_files_are_conditional_too(visitor: FlaskClient) -> None:
    with visitor.get("/static/page.css") as first:
        tag = first.headers["ETag"]
    with asked_again(visitor, "/static/page.css", tag) as again:
        assert (again.status_code, again.data) == (304, b"")


def max_age_s(cache_control: str) -> int:
    found = re.search(r"\bmax-age=(\d+)", cache_control)
    assert found is not None, cache_control
    return int(found[1])
