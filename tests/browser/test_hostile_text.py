"""Texts that others choose (videos, buckets, places, titles) stay texts on the page."""

from tests.browser.conftest import OpenPage
from tests.browser.hostile import ENDLESS_WORD, HOSTILE_TEXTS, name_things
from tests.browser.reading import figures, rows
from tests.support.servers import healthy
from tests.support.waiting import wait_for
from tests.support.watched_platform import WatchedPlatform

FOREIGN_ELEMENTS = "img, script:not([src]), iframe, [onerror], [onload], header b, main b, footer b"

#: A figure comes and goes with the requests that it shows.
SHAPES = "svg:not(.histogram svg, .line svg)"


def test_hostile_texts_are_shown_letter_by_letter_and_make_no_element(
    troubled: WatchedPlatform, open_page: OpenPage
) -> None:
    seen = open_page(troubled.page)
    shapes = seen.page.locator(SHAPES).count()
    # They arrive on an open page first, then with a page that is sent anew.
    name_things(troubled)
    troubled.health.now = healthy(version=HOSTILE_TEXTS[2])
    wait_for(
        lambda: (
            figures(seen.page, "state")["Version"] == HOSTILE_TEXTS[2]
            and len(rows(seen.page, "experiments")) == 5
        ),
        "the hostile names on the open page",
    )
    for is_sent_anew in (False, True):
        if is_sent_anew:
            seen.page.reload()
        body = seen.page.locator("body").inner_text()
        for text in (*HOSTILE_TEXTS, ENDLESS_WORD):
            assert text in body
        buckets = {row["Bucket"] for row in rows(seen.page, "outcomes")}
        assert buckets >= {*HOSTILE_TEXTS, ENDLESS_WORD}
        assert HOSTILE_TEXTS[3] in seen.page.title()
        assert figures(seen.page, "state")["Version"] == HOSTILE_TEXTS[2]
        assert seen.page.locator(FOREIGN_ELEMENTS).count() == 0
        assert seen.page.locator(SHAPES).count() == shapes
    assert seen.problems == []
    assert len(seen.page.context.pages) == 1
