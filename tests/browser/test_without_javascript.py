"""The page as it is sent: every value of the document stands on it before any script runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import OpenPage
from tests.browser.reading import figures, rows, seconds_shown, shows
from tests.browser.visiting import visit
from tests.support.watched_platform import Document, WatchedPlatform


@dataclass
class Seen:
    page: Page
    document: Document


@pytest.fixture(scope="module")
def seen(browser: Browser, _platform_that_is_well: WatchedPlatform) -> Iterator[Seen]:
    """A page without JavaScript, and the document of the very snapshot that it shows."""
    with visit(browser, _platform_that_is_well.page, java_script_enabled=False) as one:
        yield Seen(one.page, _platform_that_is_well.document(at=one.taken_at()))


def test_every_node_stands_there_with_its_times(seen: Seen) -> None:
    nodes, seen_nodes = seen.document["nodes"], rows(seen.page, "nodes")
    assert [(row["Node"], row["Location"]) for row in seen_nodes] == [
        ("node-1", "Place 1"),
        ("node-2", "Place 2"),
    ]
    for node, row in zip(nodes, seen_nodes, strict=True):
        assert row["Status"] == "ok"
        assert shows(row["Round trip"], node["rtt_ms"], "ms")
        for head, phase in (("DNS", "dns"), ("Connect", "connect"), ("First byte", "first_byte")):
            assert shows(row[head], node["phases_ms"][phase], "ms"), head
        assert row["TLS"] == "no TLS"


@pytest.mark.parametrize(
    ("key", "unit", "ms_per_unit"), [("latency", "ms", 1), ("latency_admin", "s", 1000)]
)
def test_a_latency_class_stands_there_in_the_unit_of_its_ceiling(
    seen: Seen, key: str, unit: str, ms_per_unit: int
) -> None:
    values, shown = seen.document[key], figures(seen.page, key)
    for term, name in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("Slowest", "max")):
        assert shows(shown[term], values[name] / ms_per_unit, unit), term
    assert shows(shown["Samples"], values["samples"])
    assert f"{values['window']:,}" in shown["Samples"]
    for term, name in (("Errors", "errors"), ("Lost", "lost")):
        assert shows(shown[term], values[name]), term
    assert abs(seconds_shown(shown["Oldest request"]) - values["oldest_s"]) <= 1
    meter = seen.page.locator(f"#panel-{key} meter")
    assert float(meter.get_attribute("value") or "") == values["p95_bar"]


def test_beside_the_bar_stands_the_real_share_of_the_ceiling(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    # The bar is drawn no shorter than 2 % and no longer than 100 %; that is no figure to print.
    platform.log_requests([4_000] * 1000)
    platform.log_requests([90_000_000] * 200, path="/admin/backfill")
    document = platform.wait_for_document(
        lambda now: now["latency"]["p95"] < 4.1 and now["latency_admin"]["p95"] > 89_000,
        "the percentiles of the new requests",
    )
    page = open_page(platform.page, java_script_enabled=False).page
    for key, ceiling_ms in (("latency", 500), ("latency_admin", 60_000)):
        share = 100 * document[key]["p95"] / ceiling_ms
        words = re.split(r"[ \n](?=\d)", page.locator(f"#panel-{key} .meter-line").inner_text())
        assert any(shows(word, share, "%") for word in words), words


def test_every_counter_of_the_platform_stands_there(seen: Seen) -> None:
    values, shown = seen.document["state"], figures(seen.page, "state")
    for term in ("Videos", "Agents", "Humans", "Tips confirmed", "Comments"):
        assert shows(shown[term], values[term.lower().replace(" ", "_")]), term
    assert values["uptime_s"] == 274_000
    assert shown["Uptime"] == "3 d 4 h"
    assert shown["Version"] == "1.2.0"


def test_the_queue_stands_there(seen: Seen) -> None:
    values, shown = seen.document["queue"], figures(seen.page, "queue")
    for term, name in (
        ("Queued", "queued"),
        ("Running", "running"),
        ("Depth", "depth"),
        ("Completed in 24 h", "completed_24h"),
        ("Failed in 24 h", "failed_24h"),
    ):
        assert shows(shown[term], values[name]), term
    assert shown["Depth"].endswith(values["depth_label"])
    assert abs(seconds_shown(shown["Oldest waiting"]) - values["oldest_queued_s"]) <= 1
    assert values["depth_percentile"] is None
    assert shown["Depth percentile"].startswith("—")


def test_every_bucket_stands_there_with_numerator_and_denominator(seen: Seen) -> None:
    outcomes, shown = seen.document["outcomes"], rows(seen.page, "outcomes")
    assert {row["Bucket"] for row in shown} == set(outcomes)
    for row in shown:
        outcome = outcomes[row["Bucket"]]
        assert shows(row["CTR"], 100 * outcome["clicks"] / outcome["impressions"], "%")
        told = f"{outcome['clicks']:,} / {outcome['impressions']:,}"
        assert row["Clicks / impressions"] == told
        assert shows(row["Mean watch"], outcome["mean_watch_s"], "s")


def test_every_experiment_stands_there_under_its_whole_name(seen: Seen) -> None:
    shown = [
        (row["Experiment"], int(row["Variants"]), int(row["Impressions"].replace(",", "")))
        for row in rows(seen.page, "experiments")
    ]
    assert shown == [
        (test["name"], test["variants"], test["impressions"])
        for test in seen.document["experiments"]
    ]


def test_the_pipeline_stands_there(seen: Seen) -> None:
    values, shown = seen.document["pipeline"], figures(seen.page, "pipeline")
    assert shown["Canonical format"] == "8 s · 720×720 MP4"
    for term in ("Renditions", "With provenance", "Anchored"):
        assert shows(shown[term], values[term.lower().replace(" ", "_")]), term
    assert shows(shown["Average encode"], values["avg_encode_s"], "s")
    assert str(values["encode_jobs"]) in shown["Average encode"]


def test_head_and_foot_say_what_is_watched_and_when_it_was_seen(seen: Seen) -> None:
    header = seen.page.locator("header").inner_text()
    assert "BoTTube" in header
    assert "A test." in header
    foot = seen.page.locator("footer").inner_text()
    assert seen.document["generated_at"] in foot
    assert "region test" in foot
    assert seen.page.locator("footer a").first.get_attribute("href") == "/api/engineering"


def test_no_control_that_needs_a_script_is_shown(seen: Seen) -> None:
    buttons = seen.page.get_by_role("button")
    # A form needs no script.
    assert buttons.count() == buttons.and_(seen.page.locator("form [type=submit]")).count() == 1


def test_every_section_says_its_state_and_when_it_was_read(seen: Seen) -> None:
    for name, section in seen.document["sections"].items():
        text = seen.page.locator(f"#panel-{name}").inner_text()
        assert "ok" in text, name
        assert section["sampled_at"][11:19] + " UTC" in text, name


def test_a_phone_shows_every_panel_and_where_each_node_is(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    phone = open_page(
        platform.page, java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    panels = phone.page.locator("main > section[id^=panel-]")
    assert panels.count() == len(platform.document()["sections"])
    nodes = rows(phone.page, "nodes")
    assert ["Place 1" in row["Node"] for row in nodes] == [True, False]
    assert all("ms" in row["Round trip"] for row in nodes)
