"""Half a day of a record, in all tiers, asked over HTTP; the same kept to compare with.

The plug-in of pytest `tests.support.short_record_plugin` gives it as the fixture `record`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from store.codec import encode
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.writing import Snapshot, add_all
from tests.support.documents import full_document, iso, now_ms
from tests.support.visitors import visitor_of

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1000, 60_000, 3_600_000, 86_400_000
#: 36 snapshots an hour, for 12 hours from 14:00 UTC on; the last one when the 13th begins.
INTERVAL_MS = 100 * SECOND_MS
SLOTS = 12 * 36 + 1
#: What is left: snapshots of the last 2 hours, which began at midnight; 5 minutes of the last 5.
KEPT_MS = {SNAPSHOTS: 2 * HOUR_MS, "5m": 5 * HOUR_MS, "1h": None, "1d": None}
#: The daemon was stopped from 2:10 to 4:20, and from 10:30 to 10:40 after the begin.
STOPPED = (range(78, 156), range(378, 384))
#: node-2 is down from 0:30 to 1:00, and from 2:05 on, over the stop, to 4:25.
DOWN = (range(18, 36), range(75, 159))
#: The queue's section is stale from 11:00 to 11:05.
STALE = range(396, 399)


@dataclass(frozen=True)
class Taken:
    """What one snapshot has; durations in microseconds."""

    slot: int
    at_ms: int
    queued: int
    durations_us: tuple[int, ...]
    errors: int

    @property
    def node_2(self) -> str:
        return "err" if any(self.slot in down for down in DOWN) else "ok"

    @property
    def is_stale(self) -> bool:
        return self.slot in STALE


@dataclass
class ShortRecord:
    """A store, its visitor, and all that was ever taken, oldest first; hours are from its begin."""

    url: str
    visitor: FlaskClient
    start_ms: int
    taken: list[Taken] = field(default_factory=list)

    @property
    def newest(self) -> Taken:
        return self.taken[-1]

    def at(self, hours: float) -> str:
        """Return the moment so many hours after the begin."""
        return iso(self.start_ms + round(hours * HOUR_MS))

    def within(self, from_hours: float, to_hours: float) -> list[Taken]:
        start_ms, end_ms = (
            self.start_ms + round(hours * HOUR_MS) for hours in (from_hours, to_hours)
        )
        return [one for one in self.taken if start_ms <= one.at_ms < end_ms]

    def get(self, route: str, **query: Any) -> Any:
        """Return what the API's `route` answers, which has to be good."""
        answer = self.visitor.get(f"/api/engineering/{route}", query_string=query)
        assert answer.status_code == 200, (answer.status, answer.text)
        return answer.get_json() if answer.is_json else answer.text


def short_record(url: str, directory: Path) -> ShortRecord:
    """Fill the migrated store at `url`; the newest snapshot is some 22 hours old, or older."""
    start_ms = now_ms() // DAY_MS * DAY_MS - 2 * DAY_MS + 14 * HOUR_MS
    record = ShortRecord(url, visitor_of(url, directory), start_ms)
    dice = random.Random(20261120)
    for slot in range(SLOTS):
        if not any(slot in stopped for stopped in STOPPED):
            record.taken.append(_taken(dice, slot, start_ms + slot * INTERVAL_MS))
    engine = open_writer(url)
    with engine.begin() as connection:
        add_all(connection, [_snapshot(one) for one in record.taken])
    _while_any(lambda: roll_up(engine, "test", 1000) > 0)
    _while_any(lambda: forget(engine, "test", KEPT_MS, HOUR_MS))
    engine.dispose()
    return record


def document_of(taken: Taken) -> dict[str, Any]:
    document = full_document(taken.at_ms, interval_s=INTERVAL_MS // SECOND_MS)
    document["expires_at"] = iso(taken.at_ms + 3 * INTERVAL_MS)
    document["queue"] |= {"queued": taken.queued, "depth": taken.queued + 6}
    document["latency"] |= {"p95": 20 + taken.slot / 8}
    document["nodes"][1] |= {"status": taken.node_2}
    if taken.node_2 == "err":
        reason = "refused" if 30 <= taken.slot < DOWN[0].stop else "timeout"
        document["nodes"][1] |= {"rtt_ms": None, "phases_ms": None, "reason": reason}
    if taken.is_stale:
        sampled_at = iso(taken.at_ms - (taken.slot - STALE.start + 1) * INTERVAL_MS)
        changed = {"status": "stale", "reason": "locked", "sampled_at": sampled_at}
        document["sections"]["queue"] |= changed
    return document


def _taken(dice: random.Random, slot: int, at_ms: int) -> Taken:
    durations_us = tuple(int(dice.lognormvariate(9.5, 1.2)) + 1 for _ in range(dice.randrange(12)))
    return Taken(slot, at_ms, dice.randrange(40), durations_us, min(len(durations_us), slot % 3))


def _snapshot(taken: Taken) -> Snapshot:
    interval = LatencyInterval()
    interval.histogram.record_all(taken.durations_us, errors=taken.errors)
    if taken.durations_us:
        interval.note_time(taken.at_ms - 50_000, taken.at_ms - 1)
    text = encode(document_of(taken))
    return Snapshot("test", taken.at_ms, INTERVAL_MS, text, {"latency": interval})


def _while_any(work: Callable[[], bool]) -> None:
    while work():
        pass
