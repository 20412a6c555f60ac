"""One Chromium and two watched platforms, one well and one in trouble, for every test here."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.hostile import make_troubled
from tests.browser.visiting import Visit, visit
from tests.support.servers import answers, healthy, resets
from tests.support.skipping import skip_unless_ci
from tests.support.watched_platform import WatchedPlatform, has_expired

CHROMIUM = Path("/usr/bin/chromium")
#: Opens an address in a browser profile of its own; keywords are the profile's, as Playwright's.
OpenPage = Callable[..., Visit]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        skip_unless_ci(f"{CHROMIUM} is not there; install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox refuses to run as root, which containers and CI machines are.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def _platform_that_is_well(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WatchedPlatform]:
    platform = WatchedPlatform(tmp_path_factory.mktemp("well"), _warn_early)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def platform(_platform_that_is_well: WatchedPlatform) -> WatchedPlatform:
    """A watched platform with every source well, whatever the test before did to it."""
    platform = _platform_that_is_well
    for behaviour in platform.node_behaviours:
        behaviour.now = healthy()
    platform.start_both()
    platform.wait_for_document(
        lambda document: (
            {node["status"] for node in document["nodes"]} == {"ok"} and not has_expired(document)
        ),
        "a page that is well",
    )
    return platform


@pytest.fixture(scope="package")
def troubled(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WatchedPlatform]:
    """A watched platform with a trouble of every kind, and with names that attack the page.

    What it carries as stale lasts 20 s, long enough for a test to look at it.
    """
    platform = WatchedPlatform(
        tmp_path_factory.mktemp("troubled"), make_troubled, nodes=4, interval_s=2
    )
    platform.node_behaviours[1].now = healthy(delay_s=0.35)
    platform.node_behaviours[2].now = resets
    platform.node_behaviours[3].now = answers(b"{}", status="503 Service Unavailable")
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens pages; at the end of the test none may have had an error that it did not expect."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def open_address(address: str, **profile: Any) -> Visit:
            visits.append(stack.enter_context(visit(browser, address, **profile)))
            return visits[-1]

        yield open_address
        problems = [problem for one in visits for problem in one.unexpected_problems()]
    assert problems == []


def _warn_early(tree: dict[str, Any]) -> None:
    for node in tree["nodes"]:
        node["warn_ms"] = 250
