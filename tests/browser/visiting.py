"""A visit of a page: the page, and everything about it that went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request

from tests.support.waiting import wait_for


@dataclass
class Visit:
    """`problems` has the browser's errors and warnings, and dialogs; `addresses` all it asked."""

    page: Page
    problems: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    #: Parts of texts of problems that the test causes on purpose.
    expected: list[str] = field(default_factory=list)

    def unexpected_problems(self) -> list[str]:
        return [one for one in self.problems if not any(part in one for part in self.expected)]

    def taken_at(self) -> str:
        """Return when the snapshot that the page shows was taken, as its foot says."""
        told = self.page.locator("footer time").first.get_attribute("datetime")
        assert told is not None
        return told

    def wait_for_script(self) -> None:
        """Return after the page's script has asked the server for the first time."""
        asked = "performance.getEntriesByType('resource').some(r => r.initiatorType === 'fetch')"
        wait_for(lambda: self.page.evaluate(asked), "the script's first request")

    def wait_for_snapshot_after(self, moment: str) -> None:
        """Return once the page shows a snapshot that was taken after `moment`."""
        wait_for(lambda: self.taken_at() > moment, "a renewal of the page")

    def icon(self) -> str:
        href = self.page.locator("link[rel=icon]").get_attribute("href")
        assert href is not None
        return href


@contextmanager
def visit(browser: Browser, address: str, **profile: Any) -> Iterator[Visit]:
    """Open `address` in a profile of its own, which is closed in the end."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **profile})
    context.set_default_timeout(15_000)
    one = Visit(context.new_page())

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            one.problems.append(f"{message.type}: {message.text}")

    def on_dialog(dialog: Dialog) -> None:
        one.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(request: Request) -> None:
        one.addresses.append(request.url)

    one.page.on("console", on_console)
    one.page.on("dialog", on_dialog)
    one.page.on("request", on_request)
    one.page.on("pageerror", lambda error: one.problems.append(f"page error: {error}"))
    try:
        one.page.goto(address)
        yield one
    finally:
        context.close()
