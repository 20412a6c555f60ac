"""The state of it all in one word: heading, title, icon and banner."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.documents import (
    INTERVAL_MS,
    Document,
    full_document,
    healthy_document,
    iso,
    now_ms,
    this_tick_ms,
)
from tests.support.markup import Element
from tests.support.visitors import page_of

ShowPage = Callable[[Document], Element]
Change = Callable[[Document], None]


@pytest.fixture
def show(sqlite_url: str, tmp_path: Path) -> ShowPage:
    """Returns the page that visitors of a document get."""
    return partial(page_of, url=sqlite_url, directory=tmp_path)


def icon(page: Element) -> str:
    (link,) = [one for one in page.all("link") if one.attributes["rel"] == "icon"]
    return Path(link.attributes["href"].partition("?")[0]).name


def err_node(document: Document) -> None:
    document["nodes"][0] |= {"status": "err", "rtt_ms": None, "reason": "timeout"}


def warn_node(document: Document) -> None:
    document["nodes"][0]["status"] = "warn"


def section_in(status: str, reason: str | None = "timeout") -> Change:
    def change(document: Document) -> None:
        document["sections"]["state"] |= {"status": status, "reason": reason}

    return change


@pytest.mark.parametrize(
    ("changes", "level", "mark", "words"),
    [
        ([], "ok", "✓", "every source answers"),
        ([warn_node], "warn", "▲", "1 node slow"),
        ([err_node], "err", "✕", "1 node down"),
        ([section_in("partial")], "warn", "▲", "1 panel incomplete"),
        ([section_in("stale")], "warn", "▲", "1 panel stale"),
        ([section_in("error")], "err", "✕", "1 panel without values"),
        ([section_in("off", "not_configured")], "ok", "✓", "every source answers"),
        ([warn_node, section_in("error")], "err", "✕", "1 node slow"),
    ],
)
def test_heading_title_and_icon_follow_the_worst_that_is_known(
    show: ShowPage, changes: list[Change], level: str, mark: str, words: str
) -> None:
    document = healthy_document()
    for change in changes:
        change(document)
    page = show(document)
    overall = page.by_id("overall")
    assert level in overall.attributes["class"].split()
    assert words in overall.text
    (title,) = page.all("head")[0].all("title")
    assert title.text.startswith(mark)
    assert "BoTTube" in title.text
    assert icon(page) == f"icon-{level}.svg"


def test_several_troubles_of_a_kind_are_counted(show: ShowPage) -> None:
    document = full_document(this_tick_ms())
    document["nodes"] += [dict(node, id=f"{node['id']}-b") for node in document["nodes"]]
    assert {"2 nodes down", "2 nodes slow"} <= {
        part.strip() for part in show(document).by_id("overall").all("span")[-1].text.split(",")
    }


@pytest.mark.parametrize("age_ms", [3 * INTERVAL_MS + 1500, 40 * 24 * 3600 * 1000])
def test_a_snapshot_past_its_life_is_out_of_date_in_every_way(show: ShowPage, age_ms: int) -> None:
    taken_at_ms = now_ms() - age_ms
    page = show(full_document(taken_at_ms))
    banner = page.by_id("banner")
    assert "is-shown" in banner.attributes["class"].split()
    assert "Out of date" in banner.text
    assert banner.all("time")[0].attributes["datetime"] == iso(taken_at_ms)
    assert "stale" in page.by_id("overall").attributes["class"].split()
    assert "All well" not in page.text
    assert page.all("title")[0].text.startswith("◷ Out of date")
    assert icon(page) == "icon-stale.svg"


def test_a_snapshot_in_its_life_has_no_banner(show: ShowPage) -> None:
    page = show(full_document(now_ms() - 3 * INTERVAL_MS + 20_000))
    assert "is-shown" not in page.by_id("banner").attributes["class"].split()
    assert page.by_id("banner").text == ""
    assert "Out of date" not in page.text
