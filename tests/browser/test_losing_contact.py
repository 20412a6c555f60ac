"""A page says that its numbers are old when nobody renews them, and stops saying so in time."""

from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.support.waiting import wait_for
from tests.support.watched_platform import WatchedPlatform

#: Notes what is announced, in every part of the page that is announced when it changes.
_NOTE_ANNOUNCEMENTS = """
window.__announced = [];
for (const live of document.querySelectorAll('[role=status], [role=alert], [aria-live]')) {
  new MutationObserver(() => window.__announced.push(live.innerText.trim()))
    .observe(live, {childList: true, characterData: true, subtree: true});
}
"""


def test_a_page_that_is_fresh_announces_nothing_however_often_its_numbers_change(
    troubled: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(troubled.page)
    seen.wait_for_script()
    assert banner(seen.page) == ""
    assert seen.page.locator("#banner[role=status]").count() == 1
    seen.page.evaluate(_NOTE_ANNOUNCEMENTS)
    for _ in range(2):
        seen.wait_for_snapshot_after(seen.taken_at())
    assert announced(seen.page) == []


def test_the_part_that_announces_is_there_before_it_has_something_to_say(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    # Assistive software watches what it has seen; a part that appears with its text is not read.
    seen = open_page(platform.page)
    assert seen.page.locator("#banner[role=status]").count() == 1


def test_the_page_says_when_the_daemon_has_stopped_and_when_it_is_back(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    seen.wait_for_script()
    page = seen.page
    page.evaluate("window.__marker = 1")
    wait_for(lambda: is_well(page), "a page that is well")
    page.evaluate(_NOTE_ANNOUNCEMENTS)

    platform.kill("daemon")
    wait_for(lambda: "Out of date" in banner(page), "the banner")
    assert page.locator("#banner[role=status]").is_visible()
    assert seen.taken_at()[11:19] in banner(page)
    assert page.title() == "◷ Out of date · BoTTube engineering"
    assert "icon-stale" in seen.icon()
    sent_now = open_page(platform.page, java_script_enabled=False).page
    assert sent_now.locator("#banner[role=status]").inner_text() == banner(page)
    assert sent_now.title() == page.title()
    for head in (sent_now.locator("header").inner_text(), page.locator("header").inner_text()):
        assert "Out of date" in head
        assert "All well" not in head

    platform.start_one("daemon")
    wait_for(lambda: is_well(page) and banner(page) == "", "a page that is well again")
    assert "icon-ok" in seen.icon()
    # Once when it went out of date; when it came back, that all is well and the banner is gone.
    assert [text[:11].split("\n")[0] for text in announced(page)] == [
        "Out of date",
        "All well ev",
        "",
    ]
    assert page.evaluate("window.__marker") == 1


def test_the_page_says_when_the_server_is_lost_and_when_it_is_back(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen, proxied = open_page(platform.page), open_page(platform.page)
    for one in (seen, proxied):
        one.page.evaluate("window.__marker = 1")
        one.expected += ["net::ERR_", "status of 502"]
        one.wait_for_script()
    shown = seen.page.locator("#panel-pipeline dl").inner_text()
    assert "Renditions" in shown

    platform.kill("web")
    # The other page is told by a reverse proxy, in a page of its own.
    proxied.page.route(
        "**/engineering", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>")
    )
    for one in (seen, proxied):
        wait_for(lambda one=one: "No contact" in banner(one.page), "the banner")  # type: ignore[misc]
        assert one.taken_at()[11:19] in banner(one.page)
        assert "icon-stale" in one.icon()
        assert one.page.title().startswith("◷")
        # The numbers stay, with the time that they are from.
        assert one.page.locator("#panel-pipeline dl").inner_text() == shown
        assert "All well" not in one.page.locator("header").inner_text()

    platform.start_one("web")
    proxied.page.unroute("**/engineering")
    for one in (seen, proxied):
        wait_for(
            lambda one=one: is_well(one.page) and banner(one.page) == "",  # type: ignore[misc]
            "a page that is well again",
        )
        assert "icon-ok" in one.icon()
        assert one.page.evaluate("window.__marker") == 1


def is_well(page: Page) -> bool:
    return page.title() == "✓ All well · BoTTube engineering" and "All well" in (
        page.locator("header").inner_text()
    )


def banner(page: Page) -> str:
    return page.locator("#banner[role=status]").inner_text().strip()


def announced(page: Page) -> list[str]:
    texts: list[str] = page.evaluate("window.__announced")
    return texts
