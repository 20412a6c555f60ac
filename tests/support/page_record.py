"""A record that pages look back on, written and rolled up by the store's own code."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from flask.testing import FlaskClient

from store.codec import encode
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.writing import Snapshot, add_all
from tests.support.documents import Document, full_document, iso
from tests.support.markup import Element, parse
from tests.support.visitors import visitor_of

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
#: 2026-11-10T00:00:00Z: a day begins.
START_MS = 1_794_268_800_000
#: Snapshots come once in 5 minutes, unless a test wants it otherwise.
INTERVAL_MS = 5 * MINUTE_MS

#: Changes the document of the snapshot that is taken at a time (Unix ms).
Change = Callable[[int, Document], None]


class PageRecord:
    """The migrated store at `url`, and a visitor of its pages."""

    def __init__(self, url: str, directory: Path, interval_ms: int = INTERVAL_MS) -> None:
        self.url, self._directory, self.interval_ms = url, directory, interval_ms
        self.visitor = self.new_visitor()

    def new_visitor(self) -> FlaskClient:
        """Return a visitor of another process, which has nothing in memory."""
        return visitor_of(self.url, self._directory)

    def take(
        self,
        times_ms: Iterable[int],
        change: Change = lambda _at_ms, _document: None,
        durations_us: Callable[[int], Mapping[str, list[int]]] = lambda _at_ms: {},
    ) -> None:
        """Store a snapshot for each time, in order, and roll up what is complete."""
        engine = open_writer(self.url)
        with engine.begin() as connection:
            add_all(connection, [self._snapshot(at, change, durations_us) for at in times_ms])
        while roll_up(engine, "test", 1000):
            pass
        engine.dispose()

    def forget_all_but(self, **kept_ms: int | None) -> None:
        """Delete what is older than `snapshots`, `five_minutes` (ms before the newest)."""
        kept = {SNAPSHOTS: kept_ms["snapshots"], "5m": kept_ms.get("five_minutes")}
        engine = open_writer(self.url)
        while forget(engine, "test", {**kept, "1h": None, "1d": None}, DAY_MS):
            pass
        engine.dispose()

    def page(self, at_ms: int | None = None) -> Element:
        """Return the page of the present, or of a moment."""
        query = "" if at_ms is None else f"?at={iso(at_ms)}"
        answer = self.visitor.get(f"/engineering{query}")
        assert answer.status_code == 200, answer.status
        return parse(answer.text)

    def _snapshot(
        self,
        at_ms: int,
        change: Change,
        durations_us: Callable[[int], Mapping[str, list[int]]],
    ) -> Snapshot:
        document = full_document(at_ms, interval_s=self.interval_ms // 1000)
        document["expires_at"] = iso(at_ms + 3 * self.interval_ms)
        # All is well, unless a test says otherwise.
        for node in document["nodes"]:
            node |= {"status": "ok", "reason": None, "rtt_ms": 40.0}
        change(at_ms, document)
        intervals = {
            key: _interval(at_ms, some) for key, some in durations_us(at_ms).items() if some
        }
        return Snapshot("test", at_ms, self.interval_ms, encode(document), intervals)


def every(interval_ms: int, start_ms: int, end_ms: int) -> range:
    """Return the times from `start_ms` up to, and with, `end_ms`."""
    return range(start_ms, end_ms + 1, interval_ms)


def line_of(page: Element, name: str) -> Element | None:
    """Return the line whose title begins with `name`, None when there is none."""
    found = [
        one for one in page.all("a", "line") if one.attributes["title"].startswith(f"{name}, ")
    ]
    assert len(found) <= 1, [one.attributes["title"] for one in found]
    return found[0] if found else None


def _interval(at_ms: int, durations_us: list[int]) -> LatencyInterval:
    interval = LatencyInterval()
    interval.histogram.record_all(durations_us, errors=0)
    interval.note_time(at_ms - 1000, at_ms - 1)
    return interval


def drawn(data: str) -> list[list[tuple[int, int]]]:
    """Return the points of each part of a path of `M`, `l`, `h`, `v` and `z`, as SVG reads it."""
    parts: list[list[tuple[int, int]]] = []
    x = y = 0
    for command, told in re.findall(r"([Mlhvz])([^Mlhvz]*)", data):
        numbers = [int(one) for one in re.findall(r"[+-]?\d+", told)]
        if command == "M":
            x, y = numbers
            parts.append([(x, y)])
        elif command == "l":
            for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
                x, y = x + dx, y + dy
                parts[-1].append((x, y))
        elif command in "hv":
            (step,) = numbers
            x, y = (x + step, y) if command == "h" else (x, y + step)
            parts[-1].append((x, y))
    return parts
