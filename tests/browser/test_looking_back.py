"""Lines, bars, incidents and the way to other moments, as browsers show them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.test_appearance import accessibility_faults, widths_that_scroll
from tests.support.configuring import bottube_tree, write_config
from tests.support.documents import Document, iso
from tests.support.page_record import DAY_MS, HOUR_MS, MINUTE_MS, START_MS, PageRecord, every
from tests.support.processes import running
from tests.support.waiting import wait_for
from tests.support.watched_platform import WatchedPlatform

HALF_HOUR_MS = 30 * MINUTE_MS
NOON_MS = START_MS + 2 * DAY_MS + 12 * HOUR_MS


@pytest.fixture
def served_record(sqlite_url: str, tmp_path: Path) -> Iterator[str]:
    """The address of the page of a record of three days, with incidents and a gap."""

    def happen(at_ms: int, document: Document) -> None:
        document["queue"]["queued"] = at_ms // HALF_HOUR_MS % 13
        if START_MS + DAY_MS <= at_ms < START_MS + DAY_MS + 7 * HOUR_MS:
            document["nodes"][1] |= {"status": "err", "rtt_ms": None, "reason": "timeout"}

    record = PageRecord(sqlite_url, tmp_path, interval_ms=HALF_HOUR_MS)
    record.take(every(HALF_HOUR_MS, START_MS, START_MS + 2 * DAY_MS), happen)
    record.take(every(HALF_HOUR_MS, NOON_MS - 8 * HOUR_MS, NOON_MS + 6 * HOUR_MS), happen)
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{tmp_path}/none.db")
    with running(write_config(tmp_path / "served.toml", tree), "web") as web:
        yield f"{web.page_url()}/engineering"


def lines(page: Page) -> list[str]:
    """Return the drawing of each line that is seen."""
    found: list[str] = page.locator("a.line:visible path:not(.band)").evaluate_all(
        "all => all.map(path => path.getAttribute('d'))"
    )
    return found


@pytest.mark.parametrize("query", ["", f"?at={iso(NOON_MS)}"])
def test_a_page_with_a_past_is_sound_in_light_and_dark(
    served_record: str, open_page: OpenPage, query: str
) -> None:
    seen = open_page(f"{served_record}{query}")
    assert len(lines(seen.page)) > 40
    assert seen.page.locator("svg.days:visible").count() >= 3
    assert accessibility_faults(seen.page) == []
    assert widths_that_scroll(seen.page) == []


def test_lines_and_bars_are_seen_in_every_scheme(served_record: str, open_page: OpenPage) -> None:
    page = open_page(served_record, java_script_enabled=False).page
    inks = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for selector, part in ((".line path:not(.band)", "stroke"), (".days path", "fill")):
            ink, ground = page.locator(selector).first.evaluate(
                """(path, part) => [getComputedStyle(path)[part],
                     getComputedStyle(path.closest('.panel')).backgroundColor]""",
                part,
            )
            assert contrast(ink, ground) >= 3, (scheme, selector)
            inks.add((scheme, ink))
    assert len(inks) == 4
    page.emulate_media(forced_colors="active")
    stroke, text = page.locator(".line path:not(.band)").first.evaluate(
        """path => [getComputedStyle(path).stroke, getComputedStyle(path.closest('a')).color]"""
    )
    assert stroke == text


def contrast(one: str, other: str) -> float:
    """Return the contrast of two opaque colours as WCAG 2 defines it."""
    lights = sorted((luminance(one), luminance(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_line_tells_assistive_software_its_values_and_has_no_other_name(
    served_record: str, open_page: OpenPage
) -> None:
    page = open_page(served_record, java_script_enabled=False).page
    line = page.get_by_role("link", name="Queued, the last 24 h: lowest 0, highest 12; now ")
    assert line.count() == 1
    bar = page.get_by_role("img", name="node-2, 2026-08-15 to 2026-11-12: ")
    assert "2026-11-11: partly down 7 h, 100 % observed" in (bar.get_attribute("aria-label") or "")


def test_every_moment_can_be_reached_without_javascript(
    served_record: str, open_page: OpenPage
) -> None:
    seen = open_page(served_record, java_script_enabled=False)
    page = seen.page
    page.get_by_label("At (UTC)").fill("2026-11-12T12:00")
    page.get_by_role("button", name="Go").click()
    assert seen.taken_at() == iso(NOON_MS)
    assert "This is the past" in page.locator("body").inner_text()
    for name, taken_at_ms in (
        ("‹ Previous", NOON_MS - HALF_HOUR_MS),
        ("Next ›", NOON_MS),
        ("+1 h later", NOON_MS + HOUR_MS),
        ("−1 d earlier", NOON_MS + HOUR_MS - DAY_MS),
        # Nobody looked from midnight to 4 o'clock.
        ("+1 d later", NOON_MS + HOUR_MS),
        ("Oldest", START_MS),
    ):
        page.get_by_role("link", name=name, exact=True).click()
        assert seen.taken_at() == iso(taken_at_ms), name
    seen.expected.append("status of 404")
    page.get_by_role("link", name="‹ Previous").click()
    assert "record begins here" in page.locator("main").inner_text()
    page.get_by_role("link", name="Go to the present").click()
    assert seen.taken_at() == iso(NOON_MS + 6 * HOUR_MS)
    assert "This is the newest" in page.locator("header").inner_text()


def test_lines_renew_themselves_without_a_reload(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    seen.page.evaluate("window.__marker = 1")
    wait_for(lambda: len(lines(seen.page)) > 20, "the first lines of a young record")
    before = lines(seen.page)
    seen.wait_for_snapshot_after(seen.taken_at())
    wait_for(lambda: lines(seen.page) != before, "new lines")
    newest = seen.page.get_by_role("link", name="‹ Previous").get_attribute("href") or ""
    assert newest.removeprefix("/engineering?before=") >= seen.taken_at()
    assert seen.page.evaluate("window.__marker") == 1


def test_a_moment_that_is_being_filled_in_stays_as_it_is(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    seen.wait_for_script()
    field = seen.page.get_by_label("At (UTC)")
    field.fill("2026-11-01T08:30")
    field.focus()
    seen.wait_for_snapshot_after(seen.taken_at())
    assert field.input_value() == "2026-11-01T08:30"
    assert field.evaluate("field => document.activeElement === field")
