"""How the page looks: at every width, in light and dark, to eyes and to assistive software."""

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.support.waiting import wait_for
from tests.support.watched_platform import WatchedPlatform

WIDTHS = (320, 390, 768, 1280, 1920)


def test_the_page_that_is_well_is_sound_in_light_and_dark(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    seen.wait_for_script()
    assert accessibility_faults(seen.page) == []
    assert widths_that_scroll(seen.page) == []
    # Nothing from anywhere else, nothing left in the browser.
    assert {address.split("/")[2] for address in seen.addresses} == {platform.page.split("/")[2]}
    assert seen.page.context.cookies() == []


def test_a_page_in_trouble_is_sound_in_light_and_dark(
    troubled: WatchedPlatform, open_page: OpenPage
) -> None:
    troubled.log_requests([5_000])
    troubled.wait_for_document(lambda now: status(now, "latency") == "ok", "a log that is read")
    troubled.log.unlink()
    document = troubled.wait_for_document(
        lambda now: status(now, "latency") == "stale", "a log that is missed"
    )
    assert {section["status"] for section in document["sections"].values()} == {
        "ok",
        "partial",
        "stale",
        "error",
        "off",
    }
    seen = open_page(troubled.page)
    assert accessibility_faults(seen.page) == []
    assert widths_that_scroll(seen.page) == []
    # It was still that page.
    assert status(troubled.document(), "latency") == "stale"


def test_a_page_of_the_past_is_sound_in_light_and_dark(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    then = platform.document()["taken_at"]
    wait_for(lambda: platform.document()["taken_at"] != then, "a newer snapshot")
    seen = open_page(f"{platform.page}?at={then}")
    assert "This is the past" in seen.page.inner_text("body")
    assert accessibility_faults(seen.page) == []
    assert widths_that_scroll(seen.page) == []
    seen.page.get_by_role("link", name="Go to the present").click()
    seen.page.wait_for_url(platform.page)


@pytest.mark.parametrize(("query", "status_code"), [("?at=1", 404), ("?at=yesterday", 400)])
def test_an_error_page_is_sound_in_light_and_dark(
    platform: WatchedPlatform, open_page: OpenPage, query: str, status_code: int
) -> None:
    seen = open_page(platform.page)
    seen.expected.append(f"responded with a status of {status_code}")
    answer = seen.page.goto(platform.page + query)
    assert answer is not None
    assert answer.status == status_code
    assert accessibility_faults(seen.page) == []
    assert widths_that_scroll(seen.page) == []
    seen.page.get_by_role("link", name="Go to the present").click()
    seen.page.wait_for_url(platform.page)


def test_states_differ_in_shape_in_word_and_in_colour(
    troubled: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(troubled.page)
    pills = seen.page.locator("#panel-nodes tbody tr > :first-child > :first-child").evaluate_all(
        """pills => pills.map(pill => ({
             word: pill.innerText.trim(),
             shape: pill.querySelector('svg[aria-hidden=true]').innerHTML,
             colour: getComputedStyle(pill).color}))"""
    )
    statuses = [node["status"] for node in troubled.document()["nodes"]]
    assert statuses == ["ok", "warn", "err", "err"]
    for quality in ("word", "shape", "colour"):
        assert len({pill[quality] for pill in pills[:3]}) == 3, quality
        assert all(pill[quality] for pill in pills), quality
    sections = troubled.document()["sections"]
    words = {
        section["status"]: seen.page.locator(f"#panel-{name} > :last-child").inner_text().split()[0]
        for name, section in sections.items()
    }
    assert len(set(words.values())) == len(words)


def test_a_node_without_an_answer_says_why_and_shows_no_milliseconds(
    troubled: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(troubled.page)
    refused, failing = (
        re.sub(r"\s+", " ", row)
        for row in seen.page.locator("#panel-nodes tbody tr").all_inner_texts()[2:]
    )
    assert "connection cut off" in refused
    assert "ms" not in refused
    assert "—" in refused
    assert "answered with an error status" in failing
    assert re.search(r"\d ms", failing)


def test_times_are_utc_for_machines_and_for_people(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page, timezone_id="Asia/Hong_Kong", locale="de-DE")
    seen.wait_for_script()
    times = seen.page.locator("time").evaluate_all("all => all.map(t => [t.dateTime, t.innerText])")
    assert len(times) >= 10
    for machine, people in times:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", machine)
        assert people.endswith(f"{machine[11:19]} UTC")


def test_nothing_on_the_page_moves_by_itself(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    moving = seen.page.evaluate(
        """[...document.querySelectorAll('*')].filter(e => {
             const style = getComputedStyle(e);
             return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
           }).length"""
    )
    assert moving == 0


def accessibility_faults(page: Page) -> list[str]:
    """Return what axe-core finds serious or critical, in light and in dark."""
    faults: list[str] = []
    schemes: tuple[Any, ...] = ("light", "dark")
    backgrounds = set()
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        found = Axe().run(page).response
        assert found["passes"], "axe-core looked at nothing"
        faults += [
            f"{scheme}: {fault['id']}: {node['html'][:200]}"
            for fault in found["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]
    assert len(backgrounds) == 2, "dark looks like light"
    return faults


def widths_that_scroll(page: Page) -> list[tuple[int, int]]:
    """Return the widths at which the page is wider than the window, with the page's width."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        if wide > width:
            found.append((width, wide))
    return found


def status(document: dict[str, Any], section: str) -> str:
    told: str = document["sections"][section]["status"]
    return told
