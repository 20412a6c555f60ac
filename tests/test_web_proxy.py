"""Under a URL prefix, and behind reverse proxies that are trusted or not."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.documents import full_document, store, this_tick_ms
from tests.support.markup import parse
from tests.support.visitors import BROWSER, visitor_of


@pytest.fixture
def url(sqlite_url: str) -> str:
    store(sqlite_url, full_document(this_tick_ms()))
    return sqlite_url


def addresses(html: str) -> list[str]:
    """Return every address that a page names."""
    found = [
        element.attributes[name]
        for element in parse(html).walk()
        for name in ("href", "src", "action")
        if name in element.attributes
    ]
    return [address for address in found if not address.startswith("#")]


def assert_all_lead_somewhere(visitor: FlaskClient, found: list[str]) -> None:
    """Fail unless all of `found` are there; other moments may be before the record began."""
    for address in found:
        with visitor.get(address, follow_redirects=True) as answer:
            if answer.status_code == 404 and re.search(r"\?(at|before)=", address):
                assert answer.get_json()["error"] == "no_snapshot", address
            else:
                assert answer.status_code == 200, address


def test_all_that_the_page_names_is_there(url: str, tmp_path: Path) -> None:
    visitor = visitor_of(url, tmp_path)
    found = addresses(visitor.get("/engineering").text)
    assert any("page.css" in address for address in found)
    assert any("page.js" in address for address in found)
    assert all(address.startswith("/") for address in found)
    assert_all_lead_somewhere(visitor, found)


def test_under_a_prefix_everything_is_under_it(url: str, tmp_path: Path) -> None:
    visitor = visitor_of(url, tmp_path, url_prefix="/ops/status")
    for path in ("/engineering", "/engineering?at=now", "/engineering?at=x"):
        found = addresses(visitor.get(f"/ops/status{path}", headers=BROWSER).text)
        assert found
        assert all(address.startswith("/ops/status/") for address in found), found
        assert_all_lead_somewhere(visitor, found)
    assert visitor.get("/ops/status/api/engineering").get_json()["source"] == "test"
    for path in ("/engineering", "/api/engineering", "/static/page.css", "/ops/engineering"):
        assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/ops", "/ops/"])
def test_the_root_of_a_prefix_leads_to_the_page(url: str, tmp_path: Path, path: str) -> None:
    visitor = visitor_of(url, tmp_path, url_prefix="/ops")
    answer = visitor.get(path, follow_redirects=True)
    assert (answer.status_code, answer.request.path) == (200, "/ops/engineering")


def test_a_supervisor_asks_without_the_prefix(url: str, tmp_path: Path) -> None:
    visitor = visitor_of(url, tmp_path, url_prefix="/ops")
    assert visitor.get("/healthz").status_code == 200
    assert visitor.get("/readyz").status_code == 200


def test_a_trusted_proxy_says_under_which_prefix_visitors_see_the_page(
    url: str, tmp_path: Path
) -> None:
    visitor = visitor_of(url, tmp_path, trusted_proxies=1)
    proxied = {**BROWSER, "X-Forwarded-Prefix": "/status", "X-Forwarded-Proto": "https"}
    for path in ("/engineering", "/engineering?at=now", "/engineering?at=x"):
        found = addresses(visitor.get(path, headers=proxied).text)
        assert found
        assert all(address.startswith("/status/") for address in found), found
    assert visitor.get("/", headers=proxied).headers["Location"] == "/status/engineering"


def test_each_prefix_gets_its_own_page(url: str, tmp_path: Path) -> None:
    visitor = visitor_of(url, tmp_path, trusted_proxies=1)
    for prefix in ("", "/a", "/b", "", "/a"):
        page = visitor.get("/engineering", headers={"X-Forwarded-Prefix": prefix})
        links = addresses(page.text)
        assert all(address.startswith(f"{prefix}/") for address in links)
        assert f"{prefix}/api/engineering" in links


def test_a_stranger_cannot_say_where_the_page_is(url: str, tmp_path: Path) -> None:
    strange = {
        "X-Forwarded-Prefix": "//evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "evil",
        "Host": "evil.example",
    }
    visitor = visitor_of(url, tmp_path)
    assert "evil" not in visitor.get("/engineering", headers=strange).text
    root = visitor.get("/", headers=strange)
    assert root.headers["Location"] == "/engineering"
    assert "evil" not in str(root.headers)


def test_only_as_many_proxies_are_believed_as_are_trusted(url: str, tmp_path: Path) -> None:
    # The visitor wrote the first value, the one trusted proxy the last.
    told = {"X-Forwarded-Prefix": "/evil, /status"}
    visitor = visitor_of(url, tmp_path, trusted_proxies=1)
    links = addresses(visitor.get("/engineering", headers=told).text)
    assert all(address.startswith("/status/") for address in links)
