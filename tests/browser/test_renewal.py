"""An open page stays as young as the record, and leaves its visitor in peace meanwhile."""

import time
from datetime import datetime

import pytest

from tests.browser.conftest import OpenPage
from tests.browser.reading import figures, rows, seconds_shown
from tests.browser.visiting import Visit
from tests.support.servers import answers, healthy
from tests.support.waiting import wait_for
from tests.support.watched_platform import WatchedPlatform

#: What a browser reports as its clock: an hour late, or an hour early.
_SHIFTED_DATE = """
const Real = Date;
window.Date = class extends Real {
  constructor(...told) { if (told.length) super(...told); else super(Real.now() + SHIFT); }
  static now() { return Real.now() + SHIFT; }
};
"""


def test_every_number_renews_itself_without_a_reload(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    page = seen.page
    page.evaluate("window.__marker = 1")
    before, foot_before = platform.document(), page.locator("footer").inner_text()

    now_s = time.time()
    platform.insert(
        "INSERT INTO videos (video_id, agent_id, created_at, is_removed) VALUES (?, 1, ?, 0)",
        [(f"new-{number}", now_s) for number in range(7)],
    )
    platform.insert(
        "INSERT INTO gpu_jobs (id, job_type, status, created_at) VALUES (?, 'image_gen', ?, ?)",
        [(f"new-{number}", "pending" if number else "running", now_s) for number in range(4)],
    )
    platform.insert(
        "INSERT INTO feed_impressions VALUES (?, 'v', 's', 'a-new-bucket', 'x', 0, ?, ?, 30)",
        [(f"new-{number}", now_s, now_s if number < 5 else 0) for number in range(40)],
    )
    platform.insert(
        "INSERT INTO variant_impressions (video_id, variant_key, event_type, created_at)"
        " VALUES ('a-new-test', ?, 'impression', ?)",
        [("ABCD"[number % 4], now_s) for number in range(1234)],
    )
    platform.insert(
        "INSERT INTO video_renditions (video_id, label) VALUES (?, '720p')",
        [(f"new-{number}",) for number in range(11)],
    )
    platform.log_requests([77_000] * 990)
    platform.log_requests([42_000_000] * 200, path="/admin/backfill")
    platform.health.now = healthy(version="2.0.0", uptime_s=65)
    platform.node_behaviours[0].now = healthy(delay_s=0.3)
    platform.node_behaviours[1].now = answers(b"{}", status="503 Service Unavailable")

    def is_renewed() -> bool:
        state, queue = figures(page, "state"), figures(page, "queue")
        user, admin = figures(page, "latency"), figures(page, "latency_admin")
        nodes, buckets, tests = (
            rows(page, panel) for panel in ("nodes", "outcomes", "experiments")
        )
        bucket = next((row for row in buckets if row["Bucket"] == "a-new-bucket"), {})
        return (
            state["Videos"] == f"{before['state']['videos'] + 7:,}"
            and (state["Version"], state["Uptime"]) == ("2.0.0", "1 min 5 s")
            and queue["Queued"] == str(before["queue"]["queued"] + 3)
            and queue["Running"] == str(before["queue"]["running"] + 1)
            and bucket.get("CTR") == "12.50 %"
            and bucket.get("Clicks / impressions") == "5 / 40"
            and tests[0]
            == {"Experiment": "thumb-ab:a-new-test", "Variants": "4", "Impressions": "1,234"}
            and figures(page, "pipeline")["Renditions"]
            == f"{before['pipeline']['renditions'] + 11:,}"
            and user["p50"] == user["p99"] == user["Slowest"] == "77 ms"
            and admin["p95"] == "42 s"
            and nodes[0]["Status"] == "slow"
            and nodes[1]["Status"].startswith("error")
        )

    wait_for(is_renewed, "every new number on the page")
    assert page.locator("footer").inner_text() != foot_before
    assert seen.taken_at() > before["taken_at"]
    assert page.evaluate("window.__marker") == 1


def test_heading_title_and_icon_follow_the_state(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page)
    platform.health.now = healthy()
    told = []
    for behaviour, word in (
        (healthy(), "All well"),
        (healthy(delay_s=0.3), "Attention"),
        (answers(b"", "500 No"), "Trouble"),
    ):
        platform.node_behaviours[0].now = behaviour
        wait_for(lambda word=word: word in seen.page.title(), f"{word} in the title")  # type: ignore[misc]
        told.append((seen.page.title(), icon_that_is_there(seen)))
        assert word in seen.page.locator("header").inner_text()
    assert told == [
        ("✓ All well · BoTTube engineering", "icon-ok"),
        ("▲ Attention · BoTTube engineering", "icon-warn"),
        ("✕ Trouble · BoTTube engineering", "icon-err"),
    ]


def test_the_visitor_can_pause_the_updates_and_resume_them(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    paused, other = open_page(platform.page), open_page(platform.page)
    paused.wait_for_script()
    button = paused.page.get_by_role("button", name="updates")
    assert button.inner_text() == "Pause updates"
    button.click()
    assert button.inner_text() == "Resume updates"
    paused_at = paused.taken_at()
    other.wait_for_snapshot_after(platform.document(at=paused_at)["expires_at"])
    wait_for(lambda: paused.page.title().startswith("◷"), "the title of an old page")
    assert paused.taken_at() == paused_at
    # Newer snapshots have come; only this page has not asked for them.
    assert "no snapshot has come" not in paused.page.locator("body").inner_text()
    button.click()
    assert button.inner_text() == "Pause updates"
    paused.wait_for_snapshot_after(platform.document()["taken_at"])


def test_ages_count_by_the_servers_clock_whatever_the_browsers_says(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    visits = []
    for shift_ms in (-3_600_000, 3_600_000):
        seen = open_page("about:blank")
        seen.page.add_init_script(_SHIFTED_DATE.replace("SHIFT", f"({shift_ms})"))
        seen.page.goto(platform.page)
        assert abs(seen.page.evaluate("Date.now()") / 1000 - time.time()) > 3000
        seen.wait_for_script()
        # What is counted is seen best while nothing is renewed.
        seen.page.get_by_role("button", name="updates").click()
        visits.append(seen)
    for least_s in (0, 5):
        for seen in visits:
            taken_at_s = datetime.fromisoformat(seen.taken_at()).timestamp()
            ages = seen.page.locator("#now [data-since], #panel-queue [data-since]")
            wait_for(lambda t=taken_at_s, s=least_s: time.time() - t >= s, "time to pass")  # type: ignore[misc]
            shown = [seconds_shown(text) for text in ages.all_inner_texts()]
            assert len(shown) == 2
            # The server tells its time in whole seconds, and the page counts once a second.
            assert shown == pytest.approx([time.time() - taken_at_s] * 2, abs=2.5)


def test_the_keyboard_reaches_the_numbers_past_the_head(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    page = open_page(platform.page).page
    page.keyboard.press("Tab")
    link = page.locator(":focus")
    assert link.inner_text() == "Skip to the numbers"
    box = link.bounding_box()
    assert box is not None
    assert box["width"] > 50
    assert box["x"] >= 0
    assert box["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.keyboard.press("Shift+Tab")
    page.get_by_role("button", name="updates").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("button", name="updates").inner_text() == "Resume updates"
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="updates").inner_text() == "Pause updates"


def test_renewals_leave_the_focus_where_it_is(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    visits = {}
    for selector in ("button", "footer a", "#panel-experiments [tabindex='0']"):
        visits[selector] = open_page(platform.page)
        visits[selector].wait_for_script()
        visits[selector].page.locator(selector).focus()
    focused_at = platform.document()["taken_at"]
    for seen in visits.values():
        seen.wait_for_snapshot_after(focused_at)
    focused = {
        selector: seen.page.evaluate("s => document.activeElement.matches(s)", selector)
        for selector, seen in visits.items()
    }
    assert focused == dict.fromkeys(visits, True)


def test_renewals_leave_what_is_selected_and_scrolled_as_it_is(
    platform: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(platform.page, viewport={"width": 200, "height": 900})
    seen.wait_for_script()
    scrolled = seen.page.locator("#panel-outcomes .scroll").evaluate(
        "region => { region.scrollLeft = 20; return region.scrollLeft; }"
    )
    assert scrolled > 0
    seen.page.locator("#panel-nodes tbody th").first.evaluate(
        "cell => getSelection().selectAllChildren(cell)"
    )
    seen.wait_for_snapshot_after(platform.document()["taken_at"])
    assert "node-1" in seen.page.evaluate("getSelection().toString()")
    kept = seen.page.locator("#panel-outcomes .scroll").evaluate("region => region.scrollLeft")
    assert kept == scrolled


def icon_that_is_there(seen: Visit) -> str:
    """Return the name of the icon after the server has given it."""
    href = seen.icon()
    answer = seen.page.request.get(seen.page.url.replace("/engineering", href))
    assert answer.headers["content-type"].startswith("image/svg+xml")
    return href.rpartition("/")[2].split(".")[0]
