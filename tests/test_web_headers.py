"""What every answer of the web app carries, and what none does."""

from pathlib import Path
from typing import NoReturn

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.documents import full_document, store, this_tick_ms
from tests.support.visitors import BROWSER, visitor_of


@pytest.fixture
def visitor(sqlite_url: str, tmp_path: Path) -> FlaskClient:
    store(sqlite_url, full_document(this_tick_ms()))
    return visitor_of(sqlite_url, tmp_path)


def assert_has_security_headers(answer: TestResponse) -> None:
    policy = {
        words[0]: words[1:]
        for words in (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["base-uri"] == ["'none'"]
    for directive in ("script-src", "style-src", "img-src", "connect-src"):
        assert policy[directive] == ["'self'"], directive
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    for name in ("Content-Security-Policy", "X-Content-Type-Options"):
        assert len(answer.headers.getlist(name)) == 1


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/engineering", {}, 200),
        ("HEAD", "/engineering", {}, 200),
        ("GET", "/engineering?at=now", {}, 200),
        ("GET", "/engineering", {"If-None-Match": "*"}, 304),
        ("GET", "/api/engineering", {}, 200),
        ("GET", "/api/engineering", {"If-None-Match": "*"}, 304),
        ("GET", "/api/engineering?at=x", {}, 400),
        ("GET", "/engineering?at=x", BROWSER, 400),
        ("GET", "/api/engineering?at=0", {}, 404),
        ("GET", "/nothing", BROWSER, 404),
        ("POST", "/engineering", {}, 405),
        ("GET", "/", {}, 302),
        ("GET", "/healthz", {}, 200),
        ("GET", "/readyz", {}, 200),
        ("GET", "/static/page.css", {}, 200),
        ("GET", "/static/page.js", {}, 200),
        ("GET", "/static/nothing", {}, 404),
        ("GET", "/static/../app.py", {}, 404),
    ],
)
def test_every_answer_has_the_security_headers_and_no_cookie(
    visitor: FlaskClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = visitor.open(path, method=method, headers={"Cookie": "a=b; session=c", **headers})
    assert answer.status_code == status
    assert_has_security_headers(answer)
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")
    answer.close()


def test_a_record_that_has_not_begun_has_the_security_headers(
    sqlite_url: str, tmp_path: Path
) -> None:
    answer = visitor_of(sqlite_url, tmp_path).get("/engineering", headers=BROWSER)
    assert answer.status_code == 503
    assert_has_security_headers(answer)


def test_a_fault_of_our_own_says_nothing_but_that(
    visitor: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> NoReturn:
        raise RuntimeError("postgresql://user:secret@host.example/")

    visitor.application.add_url_rule("/fails", view_func=fail)
    answer = visitor.get("/fails")
    assert answer.status_code == 500
    assert answer.get_json() == {"ok": False, "error": "internal"}
    assert_has_security_headers(answer)
    assert "RuntimeError" in caplog.text
