"""The page over a document made by hand: every panel, every number, every state."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.documents import (
    INTERVAL_MS,
    SECTIONS,
    TAKEN_AT_MS,
    Document,
    full_document,
    now_ms,
    store,
    this_tick_ms,
)
from tests.support.markup import Element, parse
from tests.support.visitors import page_of, visitor_of

UNKNOWN = "— unknown"
ShowPage = Callable[[Document], Element]


@pytest.fixture
def show(sqlite_url: str, tmp_path: Path) -> ShowPage:
    """Returns the page that visitors of a document get."""
    return partial(page_of, url=sqlite_url, directory=tmp_path)


@pytest.fixture
def page(show: ShowPage) -> Element:
    """The page of a full document of this tick."""
    return show(full_document(this_tick_ms()))


def panel(page: Element, name: str) -> Element:
    return page.by_id(f"panel-{name}")


def assert_shows(panel: Element, expected: dict[str, str]) -> None:
    """Compare the panel's figures; what is expected may be followed by a note."""
    shown = panel.figures()
    assert {term: shown.get(term) for term in expected} == {
        term: shown[term] if f"{shown.get(term)} ".startswith(f"{text} ") else text
        for term, text in expected.items()
    }


def test_all_eight_panels_and_the_foot_are_there_with_their_titles(page: Element) -> None:
    panels = page.by_id("panels").all("section")
    assert {one.attributes["id"] for one in panels} == {
        *(f"panel-{name}" for name in SECTIONS),
        "incidents",
    }
    assert len(panels) == 9
    for name in SECTIONS:
        assert panel(page, name).all("h2")[0].text == f"The panel of {name}"
    assert page.by_id("foot").tag == "footer"


def test_the_nodes_are_there(page: Element) -> None:
    first, second, third = panel(page, "nodes").rows()
    assert first[0] == "ok"
    assert first[1].startswith("node-1")
    assert first[2] == "LiquidWeb US"
    assert first[3:] == ["41.2 ms", "0.41 ms", "9.83 ms", "21.3 ms", "10.4 ms"]
    assert second[0] == "slow"
    assert second[1].startswith("node-2")
    assert second[2] == "Hong Kong"
    assert second[3:] == ["812 ms", "1.52 ms", "270 ms", "no TLS", "540 ms"]
    assert third[0].startswith("down")
    assert third[1].startswith("node-3")
    assert third[2] == "Texas"
    assert [text.removesuffix(" connection refused") for text in third[3:]] == [UNKNOWN] * 5
    assert "connection refused" in " ".join(third)


def test_user_latency_is_there_in_milliseconds(page: Element) -> None:
    expected = {"p50": "8.43 ms", "p95": "25.1 ms", "p99": "48.7 ms", "Slowest": "61.2 ms"}
    counts = {"Samples": "987 of the last 1,000", "Errors": "13", "Lost": "4", "Clamped": "0"}
    assert_shows(panel(page, "latency"), {**expected, **counts, "Oldest request": "3 min 32 s ago"})
    assert "500 ms" in panel(page, "latency").text
    (meter,) = panel(page, "latency").all("meter")
    assert meter.attributes["value"] == "5.02"


def test_admin_latency_is_there_in_seconds(page: Element) -> None:
    expected = {"p50": "51.2 s", "p95": "57.6 s", "p99": "58.9 s", "Slowest": "59.3 s"}
    counts = {"Samples": "176 of the last 200", "Errors": "7", "Lost": "2"}
    assert_shows(
        panel(page, "latency_admin"), {**expected, **counts, "Oldest request": "5 h 10 min ago"}
    )
    assert re.search(r"ceiling of 60(\.0)? s", panel(page, "latency_admin").text)
    (meter,) = panel(page, "latency_admin").all("meter")
    assert meter.attributes["value"] == "96.0"


def test_log_lines_that_do_not_count_are_told_when_there_are_any(show: ShowPage) -> None:
    document = full_document(this_tick_ms())
    document["latency"]["unparsed"] = 31
    shown = show(document)
    assert panel(shown, "latency").figures()["Not understood"].split()[0] == "31"
    assert "Not understood" not in panel(shown, "latency_admin").figures()


def test_the_platforms_state_is_there(page: Element) -> None:
    counters = {"Videos": "2,001", "Agents": "402", "Humans": "103", "Comments": "5,006"}
    # 274,000 s are 3 days, 4 hours, 6 minutes and 40 seconds.
    rest = {"Tips confirmed": "139", "Uptime": "3 d 4 h", "Version": "1.2.0"}
    assert panel(page, "state").figures() == {**counters, **rest}


def test_the_queue_is_there(page: Element) -> None:
    depth = {"Queued": "15", "Running": "6", "Depth": "21 deep", "Depth percentile": "91.3"}
    day = {"Completed in 24 h": "164", "Failed in 24 h": "9", "Oldest waiting": "14 min 5 s"}
    assert_shows(panel(page, "queue"), {**depth, **day})


def test_an_empty_queue_says_that_nobody_waits(show: ShowPage) -> None:
    document = full_document(this_tick_ms())
    document["queue"] |= {"queued": 0, "oldest_queued_s": None}
    assert panel(show(document), "queue").figures()["Oldest waiting"] == "none waits"


def test_the_outcomes_are_there_with_numerator_and_denominator(page: Element) -> None:
    assert panel(page, "outcomes").rows() == [
        ["hybrid-v1", "4.21 %", "2,942 / 69,930", "28.7 s"],
        ["latest", "1.58 %", "1,111 / 70,123", "19.4 s"],
    ]


def test_the_experiments_are_there_under_their_whole_names(page: Element) -> None:
    assert panel(page, "experiments").rows() == [
        ["thumb-ab:v0000123xx", "3", "2,273"],
        ["thumb-ab:v0000456yy", "5", "1,918"],
    ]


def test_the_pipeline_is_there(page: Element) -> None:
    counts = {"Renditions": "3,017", "With provenance": "1,518", "Anchored": "1,019"}
    rest = {"Canonical format": "8 s · 720×720 MP4", "Average encode": "74.2 s over 112 jobs"}
    assert_shows(panel(page, "pipeline"), {**counts, **rest})


def test_every_section_says_how_old_its_values_are_and_how_long_they_took(page: Element) -> None:
    took = ("43.1", "1.91", "1.92", "5.84", "3.85", "3.56", "1.67", "7.88")
    for name, took_ms in zip(SECTIONS, took, strict=True):
        text = panel(page, name).all("p", "provenance")[0].text
        assert text.startswith("ok read at"), name
        assert f"in {took_ms} ms" in text, name


def test_head_and_foot_say_what_is_watched_when_and_by_whom(show: ShowPage) -> None:
    shown = show(full_document(TAKEN_AT_MS))
    header, foot = shown.all("header")[0], shown.by_id("foot")
    assert "BoTTube" in header.all("h1")[0].text
    assert "Videos by agents." in header.text
    assert "every 30 s" in header.text
    for text in ("2026-11-20 10:13:30 UTC", "liquidweb-us / lan-elyanlabs", "/api/engineering"):
        assert text in foot.text, text
    assert shown.all("html")[0].attributes["lang"] == "en"


def test_the_page_tells_its_age_by_the_servers_clock(show: ShowPage) -> None:
    shown = show(full_document(now_ms() - 47_500))
    (age,) = [one for one in shown.by_id("now").all("span") if "data-since" in one.attributes]
    # The page may have been rendered a few seconds after the document was made.
    assert age.text in {f"{seconds} s" for seconds in range(47, 58)}


def test_every_time_is_machine_readable_and_says_utc(page: Element) -> None:
    times = page.all("time")
    # One a section, and the snapshot's own in head and foot.
    assert len(times) >= len(SECTIONS) + 2
    for time in times:
        assert time.attributes["datetime"].endswith("Z")
        assert time.text.endswith(" UTC")


def test_a_page_without_nodes_buckets_and_experiments_says_so(show: ShowPage) -> None:
    shown = show(full_document(this_tick_ms()) | {"nodes": [], "outcomes": {}, "experiments": []})
    for name in ("nodes", "outcomes", "experiments"):
        assert len(panel(shown, name).all("p", "nothing")) == 1
        assert panel(shown, name).all("table") == []


def test_nothing_on_the_page_needs_what_the_policy_forbids(page: Element) -> None:
    for element in page.walk():
        assert element.tag not in ("style", "iframe", "object", "embed", "base")
        assert "style" not in element.attributes
        assert not [name for name in element.attributes if name.startswith("on")]
        if element.tag == "script":
            assert element.attributes["src"].startswith("/static/")
            assert element.text == ""


def test_ids_are_unique(page: Element) -> None:
    ids = [one.attributes["id"] for one in page.walk() if "id" in one.attributes]
    assert len(ids) == len(set(ids))


def test_a_page_of_the_past_says_so_without_a_script_and_leads_back(
    sqlite_url: str, tmp_path: Path
) -> None:
    store(sqlite_url, full_document(TAKEN_AT_MS))
    store(sqlite_url, full_document(TAKEN_AT_MS + INTERVAL_MS))
    shown = parse(visitor_of(sqlite_url, tmp_path).get("/engineering?at=1795169615").text)
    (notice,) = shown.all("div", "past")
    assert "is-shown" in notice.attributes["class"]
    assert "This is the past" in notice.text
    assert "2026-11-20 10:13:30 UTC" in notice.text
    assert [link.attributes["href"] for link in notice.all("a")] == ["/engineering"]
    assert shown.all("script") == []
    assert shown.all("button") == []
    # Its age and its end of life say nothing about a moment that was asked for.
    assert "old" not in shown.by_id("now").text
    assert "Out of date" not in shown.text


def test_a_page_of_the_present_does_not_say_that_it_is_the_past(page: Element) -> None:
    assert page.all("div", "past") == []
    assert "past" not in page.text
    assert len(page.all("script")) == 1
