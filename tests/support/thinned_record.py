"""A day and a half of a record that is short of everything, and the same to compare with.

Every snapshot of the last 6 hours, 5 minutes of the last 18, hours of all; three hours are missing.
"""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from store.codec import encode
from store.engines import open_writer
from store.forgetting import SNAPSHOTS, forget
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS, MINUTE_MS
from store.writing import Snapshot, add_all

SOURCE = "one"
INTERVAL_MS = 150_000
START_MS = 1_795_132_800_000  # 2026-11-20T00:00:00Z
NEWEST_MS = START_MS + 36 * HOUR_MS
END_MS = NEWEST_MS + INTERVAL_MS
GAP_MS = (START_MS + 10 * HOUR_MS, START_MS + 13 * HOUR_MS)
#: From then on every snapshot is still there, and from then on the first of each 5 minutes.
RAW_FROM_MS = NEWEST_MS - 6 * HOUR_MS
FINE_FROM_MS = NEWEST_MS - 18 * HOUR_MS
KEPT_MS = {SNAPSHOTS: 6 * HOUR_MS, "5m": 18 * HOUR_MS, "1h": None, "1d": None}
STEPS_MS = {
    "5m": 5 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "1d": DAY_MS,
}


@dataclass(frozen=True)
class Taken:
    """What one snapshot has. `queued` None: nobody could look; durations in microseconds."""

    at_ms: int
    queued: float | None
    node_status: str
    durations_us: tuple[int, ...]
    errors: int

    @property
    def text(self) -> str:
        """The document, as it is stored."""
        return encode(_document(self))

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that were measured, by path, written down by hand."""
        queued = {} if self.queued is None else {"queue.queued": self.queued}
        return {
            "nodes.n.1.rtt_ms": 41.25,
            "nodes.n.1.up": 0.0 if self.node_status == "err" else 1.0,
            **queued,
            "outcomes.hybrid-v1.ctr": 0.1,
        }


def make(url: str) -> list[Taken]:
    """Store the record at `url`, hour by hour, and return all that was ever taken."""
    dice = random.Random(7)
    times = range(START_MS, END_MS, INTERVAL_MS)
    record = [_taken(dice, at) for at in times if not GAP_MS[0] <= at < GAP_MS[1]]
    engine = open_writer(url)
    for hour in range(START_MS, END_MS, HOUR_MS):
        with engine.begin() as connection:
            add_all(connection, map(_snapshot, within(record, hour, hour + HOUR_MS)))
    while roll_up(engine, SOURCE, 10_000):
        pass
    while forget(engine, SOURCE, KEPT_MS, 6 * HOUR_MS):
        pass
    engine.dispose()
    return record


def still_there(record: list[Taken]) -> list[Taken]:
    """Return what is left of the snapshots: all, firsts of 5 minutes, firsts of hours.

    And the last of such a period when the next one does not begin with a snapshot.
    """
    times_ms = {one.at_ms for one in record}
    firsts: dict[tuple[int, int], Taken] = {}
    lasts: dict[tuple[int, int], Taken] = {}
    for one in record:
        for step_ms in (STEPS_MS["5m"], HOUR_MS):
            firsts.setdefault((step_ms, one.at_ms // step_ms), one)
            lasts[step_ms, one.at_ms // step_ms] = one

    def answers(one: Taken, step_ms: int) -> bool:
        number = one.at_ms // step_ms
        is_needed = (number + 1) * step_ms not in times_ms
        return firsts[step_ms, number] is one or (is_needed and lasts[step_ms, number] is one)

    return [
        one
        for one in record
        if one.at_ms >= RAW_FROM_MS
        or (one.at_ms >= FINE_FROM_MS and answers(one, STEPS_MS["5m"]))
        or answers(one, HOUR_MS)
    ]


def within(record: Iterable[Taken], start_ms: int, end_ms: int) -> list[Taken]:
    """Return what was taken in [start_ms, end_ms)."""
    return [one for one in record if start_ms <= one.at_ms < end_ms]


def complete_periods(record: list[Taken], step_ms: int) -> dict[int, list[Taken]]:
    """Return what was taken in each period that is complete, by its start."""
    periods: dict[int, list[Taken]] = {}
    for one in record:
        starts_at_ms = one.at_ms // step_ms * step_ms
        if starts_at_ms + step_ms <= record[-1].at_ms:
            periods.setdefault(starts_at_ms, []).append(one)
    return periods


def nearest_rank_ms(durations_us: Sequence[int], percentile: float) -> float:
    """Return the smallest duration with at least `percentile` % at or below it, in ms."""
    ordered = sorted(durations_us)
    return ordered[max(1, math.ceil(round(percentile * len(ordered), 6) / 100)) - 1] / 1000


def _taken(dice: random.Random, at_ms: int) -> Taken:
    count = dice.choice((0, 0, 1, 2, 5, 9))
    return Taken(
        at_ms,
        None if dice.random() < 0.1 else dice.choice((dice.randrange(50), dice.gauss(20, 7) / 3)),
        dice.choices(("ok", "warn", "err"), (8, 1, 1))[0],
        tuple(int(dice.lognormvariate(9, 1.5)) for _ in range(count)),
        min(count, dice.choice((0, 0, 0, 1, 2))),
    )


def _document(taken: Taken) -> dict[str, Any]:
    return {
        "ok": True,
        "schema": 1,
        "interval_s": INTERVAL_MS / 1000,
        "note": "8 s · 720×720 \n \u2028",
        "nodes": [{"id": "n.1", "status": taken.node_status, "rtt_ms": 41.25}],
        "queue": {"queued": taken.queued, "depth_label": "deep"},
        "outcomes": {"hybrid-v1": {"ctr": 0.1, "mean_watch_s": None}},
        "pipeline": {"renditions": 5},
        "sections": {
            "nodes": {"status": "ok"},
            "queue": {"status": "ok"},
            "outcomes": {"status": "partial"},
            "pipeline": {"status": "stale"},
        },
    }


def _snapshot(taken: Taken) -> Snapshot:
    interval = LatencyInterval()
    interval.histogram.record_all(taken.durations_us, errors=taken.errors)
    if taken.durations_us:
        interval.note_time(taken.at_ms - 1000, taken.at_ms - 1)
    return Snapshot(SOURCE, taken.at_ms, INTERVAL_MS, taken.text, {"latency": interval})
