"""Routes, methods and errors of the web app."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.documents import (
    INTERVAL_MS,
    full_document,
    now_ms,
    small_document,
    store,
    this_tick_ms,
)
from tests.support.markup import parse
from tests.support.properties import sparing
from tests.support.visitors import BROWSER, visitor_of

ROUTES = ("/engineering", "/api/engineering", "/healthz", "/readyz", "/")


@pytest.fixture
def visitor(sqlite_url: str, tmp_path: Path) -> FlaskClient:
    """A visitor of a page whose record has one snapshot, of this tick."""
    store(sqlite_url, full_document(this_tick_ms()))
    return visitor_of(sqlite_url, tmp_path)


def test_the_api_serves_byte_for_byte_what_is_stored(store_url: str, tmp_path: Path) -> None:
    stored = store(store_url, full_document(this_tick_ms()))
    visitor = visitor_of(store_url, tmp_path)
    for path in ("/api/engineering", "/api/engineering?at=now"):
        answer = visitor.get(path)
        assert answer.status_code == 200
        assert answer.content_type == "application/json"
        assert answer.data == stored.encode()
        assert answer.headers["Content-Length"] == str(len(stored.encode()))


def test_the_page_is_html_and_shows_the_newest_snapshot(store_url: str, tmp_path: Path) -> None:
    at_ms = this_tick_ms()
    store(store_url, small_document(at_ms - INTERVAL_MS))
    document = full_document(at_ms)
    store(store_url, document)
    answer = visitor_of(store_url, tmp_path).get("/engineering")
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert document["generated_at"] in parse(answer.text).by_id("foot").text


def test_the_root_leads_to_the_page(visitor: FlaskClient) -> None:
    answer = visitor.get("/", follow_redirects=True)
    assert (answer.status_code, answer.request.path) == (200, "/engineering")


@pytest.mark.parametrize("path", ["/engineering", "/api/engineering", "/readyz"])
def test_before_the_first_snapshot_there_is_none_and_that_is_no_fault(
    store_url: str, tmp_path: Path, path: str
) -> None:
    answer = visitor_of(store_url, tmp_path).get(path)
    assert answer.status_code == 503
    assert answer.content_type == "application/json"
    assert answer.get_json() == {"ok": False, "error": "no_snapshot"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_snapshots_of_another_source_are_not_shown(sqlite_url: str, tmp_path: Path) -> None:
    store(sqlite_url, small_document(this_tick_ms()), source="another")
    visitor = visitor_of(sqlite_url, tmp_path)
    assert visitor.get("/api/engineering").status_code == 503
    assert visitor.get("/api/engineering?at=now").status_code == 404


def test_the_process_is_alive_whatever_the_store_is(tmp_path: Path) -> None:
    answer = visitor_of(f"sqlite:///{tmp_path}/no-store.db", tmp_path).get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"ok": True})
    assert answer.headers["Cache-Control"] == "no-store"


def test_ready_means_that_the_newest_snapshot_is_in_date(visitor: FlaskClient) -> None:
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"ok": True})


def test_an_expired_snapshot_is_served_but_not_ready(sqlite_url: str, tmp_path: Path) -> None:
    store(sqlite_url, small_document(now_ms() - 3 * INTERVAL_MS - 1000))
    visitor = visitor_of(sqlite_url, tmp_path)
    answer = visitor.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (503, {"ok": False, "error": "expired"})
    assert visitor.get("/healthz").status_code == 200
    assert visitor.get("/api/engineering").status_code == 200
    assert visitor.get("/engineering").status_code == 200


@pytest.mark.parametrize("path", [*ROUTES, "/engineering?at=now", "/api/engineering?at=x", "/no"])
def test_head_is_get_without_the_body(visitor: FlaskClient, path: str) -> None:
    get, head = visitor.get(path), visitor.head(path)
    assert head.data == b""
    assert head.status_code == get.status_code
    assert head.headers["Content-Length"] == get.headers["Content-Length"]
    assert head.content_type == get.content_type
    assert head.headers.get("ETag") == get.headers.get("ETag")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ROUTES)
def test_only_get_and_head_are_allowed(visitor: FlaskClient, path: str, method: str) -> None:
    answer = visitor.open(path, method=method)
    assert answer.status_code == 405
    assert answer.get_json() == {"ok": False, "error": "method_not_allowed"}
    assert {"GET", "HEAD"} <= allowed(answer)


@pytest.mark.parametrize("path", ROUTES)
def test_options_is_no_method_of_the_page_either(visitor: FlaskClient, path: str) -> None:
    answer = visitor.options(path)
    assert answer.status_code == 405
    assert allowed(answer) == {"GET", "HEAD"}


def allowed(answer: TestResponse) -> set[str]:
    return {method.strip() for method in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/engineering/", "/api", "/api/engineering/x", "/static/nothing.css", "/static/"],
)
def test_what_is_not_there_is_not_found(visitor: FlaskClient, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/json")
    assert answer.get_json() == {"ok": False, "error": "not_found"}


@pytest.mark.parametrize(
    ("path", "status", "others"),
    [
        ("/nothing", 404, []),
        ("/engineering?at=x", 400, []),
        ("/engineering?at=0", 404, ["/engineering?after=0"]),
    ],
)
def test_a_browser_gets_an_error_as_a_page_and_the_way_back(
    visitor: FlaskClient, path: str, status: int, others: list[str]
) -> None:
    answer = visitor.get(path, headers=BROWSER)
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8")
    page = parse(answer.text)
    assert str(status) in page.all("title")[0].text
    links = [link.attributes["href"] for link in page.all("a")]
    assert links == [*others, "/engineering"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_browser_learns_that_the_record_has_not_begun(sqlite_url: str, tmp_path: Path) -> None:
    answer = visitor_of(sqlite_url, tmp_path).get("/engineering", headers=BROWSER)
    assert (answer.status_code, answer.content_type) == (503, "text/html; charset=utf-8")
    assert "No snapshot" in parse(answer.text).all("h1")[0].text


@pytest.mark.parametrize("accept", [BROWSER["Accept"], "text/html", "*/*", "image/png", ""])
def test_the_api_answers_errors_as_json_to_everyone(visitor: FlaskClient, accept: str) -> None:
    answer = visitor.get("/api/engineering?at=x", headers={"Accept": accept})
    assert (answer.status_code, answer.content_type) == (400, "application/json")
    assert answer.get_json()["error"] == "bad_parameter"


queries = st.one_of(
    st.text(alphabet="at=&%;+?#[]0123456789T:-Znow.dhms /\\\x00\u00e9", max_size=60),
    st.builds("at={}".format, st.text(max_size=30)),
    st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")),
)


@sparing
@given(query=queries, path=st.sampled_from(ROUTES))
@example(query="at=%FF%FE", path="/engineering")
@example(query="at=%00", path="/api/engineering")
@example(query="at=" + "9" * 5000, path="/api/engineering")
@example(query="at=9999-12-31T23:59:59-23:59", path="/api/engineering")
@example(query="&".join(["at=now"] * 2000), path="/engineering")
def test_no_query_string_makes_the_server_fail(visitor: FlaskClient, query: str, path: str) -> None:
    answer = visitor.get(path, query_string=query)
    assert answer.status_code in (200, 302, 400, 404)
    if answer.status_code >= 400:
        body = answer.get_json()
        assert body["ok"] is False
        assert set(body) <= {"ok", "error", "detail"}
