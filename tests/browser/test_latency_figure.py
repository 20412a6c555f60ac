"""The latency figure in a browser: what is drawn can be read at every width, and stays in peace."""

import re
from itertools import combinations
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.support.waiting import wait_for
from tests.support.watched_platform import Document, WatchedPlatform

USERS = "#panel-latency"
WIDTHS = (320, 390, 768, 1280, 1920)

Box = dict[str, float]


def test_without_a_script_the_figure_and_the_routes_say_what_the_document_says(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    platform.log_requests([3_000] * 300, path="/watch/dQw4w9WgXcQ")
    platform.log_requests([3_100] * 300, path="/watch/a-B_c9d8E7f")
    platform.log_requests([44_000] * 20, path="/api/videos/123/comments")
    platform.wait_for_document(
        lambda now: routes_of(now) >= {"/watch/:id", "/api/videos/:id/comments"}, "the new routes"
    )
    seen = open_page(platform.page, java_script_enabled=False)
    users = platform.document(at=seen.taken_at())["latency"]

    figure = seen.page.get_by_role("img", name=re.compile(rf"^Histogram of {users['samples']:,} "))
    assert figure.first.is_visible()
    seen.page.locator(f"{USERS} summary").click()
    counts = seen.page.locator(f"{USERS} details tbody td:last-child").all_inner_texts()
    assert [int(count.replace(",", "")) for count in counts] == users["distribution"]["counts"]
    drawn = seen.page.locator(f"{USERS} .plot rect").count()
    assert drawn == len([count for count in users["distribution"]["counts"] if count])
    shown = seen.page.locator(f"{USERS} .routes tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.replace(/\\s/g, '')))"
    )
    assert [(route, int(count.replace(",", ""))) for route, count, _, _ in shown] == [
        (one["route"], one["count"]) for one in users["slowest_routes"]
    ]
    assert ["/api/videos/:id/comments", "20", "44ms", "44ms"] in shown
    assert seen.page.locator("#panel-latency_admin .routes").count() == 0


@pytest.mark.parametrize(
    "durations_us",
    [
        [8_000] * 1000,
        [8_000] * 940 + [9_000] * 50 + [480_000] * 10,
        [40, 300, 2_000, 20_000, 150_000, 900_000, 7_000_000, 200_000_000, 3_600_000_000] * 112,
    ],
    ids=["all equal", "close together", "over all decades"],
)
def test_at_every_width_every_text_is_in_the_figure_and_none_covers_another(
    platform: WatchedPlatform, open_page: OpenPage, durations_us: list[int]
) -> None:
    platform.log_requests(durations_us)
    longest_ms = max(durations_us) / 1000
    platform.wait_for_document(
        lambda now: now["latency"]["max"] == longest_ms, "a window of these requests"
    )
    page = open_page(platform.page, java_script_enabled=False).page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for panel in (USERS, "#panel-latency_admin"):
            frame, texts, bars = boxes(page, panel)
            assert len(texts) >= 6
            for text in texts:
                assert text["left"] >= frame["left"] - 2, (width, panel, text)
                assert text["right"] <= frame["right"] + 2, (width, panel, text)
            covering = [(one["text"], other["text"]) for one, other in touching(texts)]
            assert covering == [], (width, panel)
            assert min(bar["bottom"] - bar["top"] for bar in bars) >= 1
            assert min(bar["right"] - bar["left"] for bar in bars) >= 1
            assert touching(bars) == []


def test_bars_and_lines_stand_out_in_light_and_dark(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    page = open_page(platform.page).page
    schemes: tuple[Any, ...] = ("light", "dark")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        panel = colour(page, USERS, "backgroundColor")
        bar = colour(page, f"{USERS} .plot rect", "fill")
        line = colour(page, f"{USERS} .plot .p50 line", "stroke")
        # WCAG 1.4.11, which axe-core does not look at.
        assert contrast(bar, panel) >= 3
        assert contrast(line, panel) >= 3
        assert contrast(line, bar) >= 3


def test_renewals_change_the_figure_and_leave_the_table_unfolded(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    seen.wait_for_script()
    summary = seen.page.locator(f"{USERS} summary")
    summary.focus()
    seen.page.keyboard.press("Enter")
    folded = seen.page.locator("#panel-latency_admin details")
    assert seen.page.locator(f"{USERS} details[open] table").is_visible()

    platform.log_requests([77_000] * 1000)

    figure = seen.page.locator(f"{USERS} [role=img]")
    wait_for(
        lambda: "74.99 ms to 100 ms, has" in (figure.get_attribute("aria-label") or ""),
        "the new requests in the figure of an open page",
    )
    assert seen.page.locator(f"{USERS} details[open] table").is_visible()
    (row,) = seen.page.locator(f"{USERS} details tbody tr", has_text="74.99 ms to").all()
    assert int(row.locator("td").last.inner_text().replace(",", "")) > 900
    assert summary.evaluate("summary => summary === document.activeElement")
    assert folded.get_attribute("open") is None
    # What the visitor folds stays folded.
    seen.page.keyboard.press("Enter")
    seen.wait_for_snapshot_after(platform.document()["taken_at"])
    assert not seen.page.locator(f"{USERS} details table").is_visible()


def test_what_a_stranger_asks_for_is_no_text_and_no_markup_on_the_page(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    for path in ("/<script>alert(1)</script>", "/ada@platform.example", "/%22onload=alert(2)"):
        platform.log_requests([450_000], path=path)
    platform.wait_for_document(lambda now: "/:id/:id" in routes_of(now), "the strange routes")
    page = open_page(platform.page).page
    text = page.locator(USERS).inner_text()
    assert "/:id" in text
    for stranger in ("alert", "ada", "example", "onload", "script"):
        assert stranger not in text


def routes_of(document: Document) -> set[str]:
    return {one["route"] for one in document["latency"]["slowest_routes"]}


def boxes(page: Page, panel: str) -> tuple[Box, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return where the figure, its texts and its bars are on the screen."""
    found: list[Any] = page.locator(f"{panel} .histogram").evaluate(
        """figure => {
          const box = (e) => {
            const {left, right, top, bottom} = e.getBoundingClientRect();
            return {left, right, top, bottom, text: e.textContent};
          };
          const all = (name) => [...figure.querySelectorAll(name)].map(box);
          return [box(figure), all('text'), all('rect')];
        }"""
    )
    frame, texts, bars = found
    return frame, texts, bars


def touching(found: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the pairs of boxes that cover each other by more than half a pixel."""
    return [
        (one, other)
        for one, other in combinations(found, 2)
        if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 0.5
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 0.5
    ]


def colour(page: Page, selector: str, name: str) -> tuple[int, ...]:
    told = page.locator(selector).first.evaluate("(e, name) => getComputedStyle(e)[name]", name)
    red, green, blue = (int(part) for part in re.findall(r"\d+", told)[:3])
    return red, green, blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""

    def luminance(rgb: tuple[int, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in scaled(rgb)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def scaled(rgb: tuple[int, ...]) -> list[float]:
        return [value / 255 for value in rgb]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
