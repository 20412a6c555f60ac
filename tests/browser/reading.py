"""What a page shows, read from it as a visitor reads it, and compared with a number."""

import re
from decimal import Decimal

from playwright.sync_api import Page

Row = dict[str, str]

_NUMBER = re.compile(r"(-?[\d,]+(?:\.(\d+))?)(?: ([a-z%]+))?")
_UNIT_S = {"d": 86_400, "h": 3600, "min": 60, "s": 1}


def figures(page: Page, panel: str) -> dict[str, str]:
    """Return the panel's values by their terms."""
    found: dict[str, str] = page.locator(f"#panel-{panel}").evaluate(
        """panel => Object.fromEntries([...panel.querySelectorAll('dt')].map(
             dt => [dt.innerText, dt.nextElementSibling.innerText.replace(/\\s+/g, ' ').trim()]))"""
    )
    return found


def rows(page: Page, panel: str) -> list[Row]:
    """Return the rows of the panel's table, each with its visible cells by their headings."""
    found: list[Row] = page.locator(f"#panel-{panel}").evaluate(
        """panel => {
          const heads = [...panel.querySelectorAll('thead th')].map(th => th.innerText);
          return [...panel.querySelectorAll('tbody tr')].map(tr => Object.fromEntries(
            [...tr.cells].map((cell, i) => [cell, heads[i]])
              .filter(([cell]) => cell.checkVisibility())
              .map(([cell, head]) => [head, cell.innerText.replace(/\\s+/g, ' ').trim()])));
        }"""
    )
    return found


def shows(text: str, value: float, unit: str | None = None) -> bool:
    """Say whether `text` begins with `value`, rounded to the digits shown, in `unit` if given."""
    told = _NUMBER.match(text)
    if told is None or unit not in (None, told[3]):
        return False
    half_a_digit = Decimal(10) ** -len(told[2] or "") / 2
    return abs(Decimal(told[1].replace(",", "")) - Decimal(str(value))) <= half_a_digit


def seconds_shown(text: str) -> int:
    """Return the duration that `text` begins with, such as `3 min 32 s`, in seconds."""
    parts = re.match(r"(?:\d+ (?:d|h|min|s)\b ?)+", text)
    assert parts is not None, text
    return sum(int(n) * _UNIT_S[unit] for n, unit in re.findall(r"(\d+) (\w+)", parts[0]))
