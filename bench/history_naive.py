"""Series of 30 days against the naive way: one statement over all raw documents of these days."""

import json
import random
import sqlite3
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench.history_store import RAW_DAYS, extent_ms, raw_store, year_store
from bench.processes import BrokenBenchmarkError
from bench.table import Row
from store.engines import open_reader
from store.history.answers import Answer
from store.history.asking import Period
from store.history.series import ask
from store.times import DAY_MS, HOUR_MS

_LEAST_RATIO = 10.0
_ROUNDS = 5
#: Paths as SQLite's JSON functions take them, beside ours, and the section that they are in.
_METRICS = {
    "queue.depth": ("$.queue.depth", "queue"),
    "state.comments": ("$.state.comments", "state"),
    "latency.p95_bar": ("$.latency.p95_bar", "latency"),
}
#: Values that a section carries from an earlier tick are no measurements, for either side.
_NAIVE = """
SELECT taken_at - taken_at % :step AS at, COUNT(value), MIN(value), MAX(value), AVG(value)
FROM (
    SELECT taken_at, json_extract(document, :path) AS value FROM snapshots
    WHERE source = 'bottube-1' AND taken_at >= :start AND taken_at < :end
    AND json_extract(document, :status) IN ('ok', 'partial')
)
GROUP BY at ORDER BY at
"""


def measure(_directory: Path) -> list[Row]:
    """Ask both for the same series in turn; they have to say the same."""
    raw, year = raw_store(), year_store()
    _, newest_ms = extent_ms(raw)
    end_ms = newest_ms // (2 * HOUR_MS) * 2 * HOUR_MS
    period = Period(end_ms - RAW_DAYS * DAY_MS + DAY_MS, end_ms)
    dice, ratios = random.Random(1), []
    ours_s, naive_s = [], []
    for _ in range(_ROUNDS):
        metric = dice.choice(sorted(_METRICS))
        began = time.perf_counter()
        answer = _ours(year, metric, period)
        ours_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        rows = _naive(raw, metric, period, answer.step_ms)
        naive_s.append(time.perf_counter() - began)
        ratios.append(naive_s[-1] / ours_s[-1])
        _require_equal(answer, rows)
    ratio = median(ratios)
    return [
        Row(
            f"{RAW_DAYS - 1} days of one number, naive / ours",
            f"{1000 * median(ours_s):.1f} ms",
            f"{1000 * median(naive_s):.0f} ms",
            ratio,
            f">= {_LEAST_RATIO:.0f}",
            ratio >= _LEAST_RATIO,
            f"{len(ratios)} pairs, {min(ratios):.0f} to {max(ratios):.0f}; naive: json_extract in "
            "SQLite over every document, the same answer",
        )
    ]


def _ours(store: Path, metric: str, period: Period) -> Answer:
    engine = open_reader(f"sqlite:///{store}")
    with engine.connect() as connection:
        now_ms = time.time_ns() // 1_000_000
        answer = ask(connection, "bottube-1", [metric], period, None, now_ms)
    engine.dispose()
    return answer


def _naive(store: Path, metric: str, period: Period, step_ms: int) -> list[tuple[Any, ...]]:
    path, section = _METRICS[metric]
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return connection.execute(
            _NAIVE,
            {
                "path": path,
                "status": f"$.sections.{section}.status",
                "step": step_ms,
                "start": period.start_ms,
                "end": period.end_ms,
            },
        ).fetchall()
    finally:
        connection.close()


def _require_equal(answer: Answer, rows: list[tuple[Any, ...]]) -> None:
    columns = answer.series[0].columns
    found = {
        at_ms: told
        for at_ms, *told in zip(
            answer.times_ms,
            *(columns[name] for name in ("snapshots", "min", "max", "mean")),
            strict=True,
        )
        if told[0]
    }
    naive = {at: told for at, *told in rows if told[0]}
    for at_ms, told in naive.items():
        ours = found.pop(at_ms, None)
        if ours is None or ours[:3] != told[:3] or abs(ours[3] - told[3]) > 1e-9 * abs(told[3]):
            raise BrokenBenchmarkError(json.dumps({"at": at_ms, "ours": ours, "naive": told}))
    if found:
        raise BrokenBenchmarkError(f"ours has {len(found)} steps more")
