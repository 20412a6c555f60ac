"""Some weeks of a record, with gaps, and the same kept in memory to compare with."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine

from store.codec import encode
from store.forgetting import SNAPSHOTS, forget
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.times import DAY_MS, HOUR_MS
from store.writing import Snapshot, add_all

SOURCE = "one"
INTERVAL_MS = 15 * 60_000
DAYS = 24
START_MS = 1_797_811_200_000  # 2026-12-21T00:00:00Z: it ends in the next year
#: What is left at the end: snapshots of a day, 5 minutes of five.
KEPT_MS = {SNAPSHOTS: 1 * DAY_MS, "5m": 5 * DAY_MS, "1h": None, "1d": None}


@dataclass(frozen=True)
class Taken:
    """What one snapshot has. `queued` None: nobody could look; durations in microseconds."""

    at_ms: int
    queued: float | None
    node_status: str
    durations_us: tuple[int, ...]
    errors: int


@dataclass
class LongRecord:
    """All that was ever taken, oldest first."""

    taken: list[Taken] = field(default_factory=list)

    @property
    def newest_ms(self) -> int:
        return self.taken[-1].at_ms

    def within(self, start_ms: int, end_ms: int) -> list[Taken]:
        return [one for one in self.taken if start_ms <= one.at_ms < end_ms]


def make(engine: Engine, seed: int = 4) -> LongRecord:
    """Store `DAYS` days, rolled up and thinned as they come, and return what was stored."""
    dice = random.Random(seed)
    record = LongRecord()
    slots = DAYS * DAY_MS // INTERVAL_MS
    gaps = [(dice.randrange(slots), dice.choice((1, 3, 30, 200))) for _ in range(12)]
    for day in range(DAYS):
        batch = []
        for slot in range(day * DAY_MS // INTERVAL_MS, (day + 1) * DAY_MS // INTERVAL_MS):
            if any(begin <= slot < begin + length for begin, length in gaps):
                continue
            taken = _taken(dice, START_MS + slot * INTERVAL_MS)
            record.taken.append(taken)
            batch.append(_snapshot(taken))
        with engine.begin() as connection:
            add_all(connection, batch)
        settle(engine)
    return record


def snapshot_of(at_ms: int, queued: float) -> Snapshot:
    """Return a snapshot that is to be stored, without a request."""
    return _snapshot(Taken(at_ms, queued, "ok", (), 0))


def settle(engine: Engine) -> None:
    """Roll up all that is complete and delete what is old."""
    _while_any(lambda: roll_up(engine, SOURCE, 1000) > 0)
    _while_any(lambda: forget(engine, SOURCE, KEPT_MS, 6 * HOUR_MS))


def _while_any(work: Callable[[], bool]) -> None:
    while work():
        pass


def _taken(dice: random.Random, at_ms: int) -> Taken:
    count = dice.choice((0, 1, 2, 5, 9))
    return Taken(
        at_ms,
        None if dice.random() < 0.1 else dice.choice((dice.randrange(50), dice.gauss(20, 7) / 3)),
        dice.choices(("ok", "warn", "err"), (8, 1, 1))[0],
        tuple(int(dice.lognormvariate(9, 1.5)) for _ in range(count)),
        min(count, dice.choice((0, 0, 0, 1, 2))),
    )


def _snapshot(taken: Taken) -> Snapshot:
    document = {
        "ok": True,
        "schema": 1,
        "interval_s": INTERVAL_MS // 1000,
        "nodes": [{"id": "n.1", "status": taken.node_status, "rtt_ms": None, "reason": None}],
        "queue": {"queued": taken.queued},
        "sections": {"nodes": {"status": "ok"}, "queue": {"status": "ok"}},
    }
    interval = LatencyInterval()
    interval.histogram.record_all(taken.durations_us, errors=taken.errors)
    if taken.durations_us:
        interval.note_time(taken.at_ms - 1000, taken.at_ms - 1)
    intervals = {"latency": interval}
    return Snapshot(SOURCE, taken.at_ms, INTERVAL_MS, encode(document), intervals)
