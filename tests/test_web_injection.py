"""Texts that others choose stay texts: the page has the same elements whatever they are."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st

from migrations.upgrading import upgrade
from tests.support.documents import SECTIONS, Document, full_document, store, this_tick_ms
from tests.support.markup import Element, parse, skeleton
from tests.support.properties import sparing
from tests.support.visitors import BROWSER, page_of, visitor_of

#: What the page links to. A query has times, and paths of metrics whose every sign is encoded.
ADDRESS = re.compile(
    r"/|#panels|/static/[\w./?=-]+|/(api/)?engineering"
    r"(\?(at|before|after)=[\w:.-]+|/(history|incidents)\?[\w%&=:./-]+)?"
)
HOSTILE = (
    "<script>alert(1)</script>: ",
    '"><img src=x onerror="alert(1)">: ',
    "'><svg onload='alert(1)'>: ",
    "</title></style></textarea></script><script>alert(1)</script>: ",
    '" onmouseover="alert(1)" x=": ',
    "--><!-- <b>: ",
    "&lt;script&gt;&#60;b&#62;&quot;: ",
    "{{ 7 * 7 }}{% for x in y %}${7*7}<%= 7 %>: ",
    "javascript:alert(1)//: ",
    "\x00\x08<b\x0bold>\u2028\u202e]]><![CDATA[: ",
    "<wbr><b><i>: ",
)


def with_texts(text: str) -> Document:
    """Return a full document in which every text that is anybody's choice is `text`."""
    document = full_document(this_tick_ms())
    document["platform"] = dict.fromkeys(("name", "region", "description"), text)
    document["source"] = text
    document["generated_at"] = text
    for node in document["nodes"]:
        node |= {"id": text, "location": text}
    document["nodes"][2]["reason"] = text
    document["nodes"][1]["status"] = text
    for key in ("latency", "latency_admin"):
        document[key]["title"] = text
        document[key]["slowest_routes"] = [{"route": text, "count": text, "p50": text, "p95": 5.0}]
    document["latency_admin"]["distribution"] = {"bounds_ms": [text, text], "counts": [text]}
    # The counters are named by the configuration, and filled by the platform's own SQL.
    document["state"] = {text: 5, "agents": text, "uptime": text, "uptime_s": 5, "version": text}
    document["queue"] |= {"depth_label": text, "failed_24h": text}
    document["outcomes"] = {text: next(iter(document["outcomes"].values()))}
    for test in document["experiments"]:
        test["name"] = text
    document["pipeline"] |= {"canonical_format": text, text: 7}
    for name in SECTIONS:
        document["sections"][name] |= {"title": text, "reason": text}
    for name, status in zip(SECTIONS, ("stale", "error", "partial", text), strict=False):
        document["sections"][name]["status"] = status
    document["sections"]["state"]["missing"] = {"version": text}
    document["state"]["version"] = None
    return document


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_document_becomes_markup(sqlite_url: str, tmp_path: Path, text: str) -> None:
    document = with_texts(text)
    hostile = page_of(document, sqlite_url, tmp_path)
    # As long, and broken at the same places, because the page is laid out by that.
    harmless = page_in_a_store_of_its_own(re.sub(r"[^:/ ]", "x", text), tmp_path / "harmless")
    assert skeleton(hostile) == skeleton(harmless)
    # And it stands there as it is, for people to see.
    whole = " ".join(text.split())
    for place in (hostile.by_id("foot"), hostile.all("h1")[0], hostile.all("h2")[0]):
        assert whole in place.text
    assert whole in hostile.by_id("panel-experiments").text
    assert whole in hostile.by_id("panel-outcomes").text
    assert whole in hostile.by_id("panel-latency").all("table", "routes")[0].text


def page_in_a_store_of_its_own(text: str, directory: Path) -> Element:
    directory.mkdir()
    url = f"sqlite:///{directory}/store.db"
    upgrade(url)
    return page_of(with_texts(text), url, directory)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_address_on_the_page_is_anybodys_choice(
    sqlite_url: str, tmp_path: Path, text: str
) -> None:
    page = page_of(with_texts(text), sqlite_url, tmp_path)
    for element in page.walk():
        for name in ("href", "src", "action", "formaction"):
            address = element.attributes.get(name, "/")
            assert ADDRESS.fullmatch(address), address


@pytest.mark.parametrize("text", HOSTILE)
def test_the_document_is_served_as_data_that_no_browser_takes_for_a_page(
    sqlite_url: str, tmp_path: Path, text: str
) -> None:
    stored = store(sqlite_url, with_texts(text))
    answer = visitor_of(sqlite_url, tmp_path).get("/api/engineering", headers=BROWSER)
    assert answer.data == stored.encode()
    assert answer.content_type == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.fixture
def visitor(sqlite_url: str, tmp_path: Path) -> FlaskClient:
    store(sqlite_url, full_document(this_tick_ms()))
    return visitor_of(sqlite_url, tmp_path, trusted_proxies=1)


@sparing
@given(text=st.one_of(st.text(max_size=40), st.sampled_from(HOSTILE)))
@example(text=HOSTILE[0])
def test_nothing_of_a_bad_request_is_repeated_in_the_error(visitor: FlaskClient, text: str) -> None:
    expected = skeleton(parse(visitor.get("/engineering?at=x", headers=BROWSER).text))
    answer = visitor.get("/engineering", query_string={"at": f"z{text}"}, headers=BROWSER)
    assert answer.status_code == 400
    assert skeleton(parse(answer.text)) == expected
    assert answer.text == visitor.get("/engineering?at=x", headers=BROWSER).text


@pytest.mark.parametrize("path", ["/<script>alert(1)</script>", '/"><b>', "/%3Cscript%3E", "/\x00"])
def test_nothing_of_an_unknown_path_is_repeated_in_the_error(
    visitor: FlaskClient, path: str
) -> None:
    known = visitor.get("/nothing", headers=BROWSER)
    answer = visitor.get(path, headers=BROWSER)
    assert (answer.status_code, answer.data) == (404, known.data)


@pytest.mark.parametrize("text", HOSTILE[:6])
def test_a_prefix_from_a_proxy_cannot_become_markup(visitor: FlaskClient, text: str) -> None:
    expected = skeleton(parse(visitor.get("/engineering").text))
    prefix = f"/{text}".replace(",", "").strip()
    page = visitor.get("/engineering", headers={"X-Forwarded-Prefix": prefix})
    assert page.status_code == 200
    assert skeleton(parse(page.text)) == expected
