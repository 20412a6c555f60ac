"""History over HTTP from a year's store: each question asked of processes that know nothing yet."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from bench.history_store import extent_ms, write_config, year_store
from bench.processes import BrokenBenchmarkError
from bench.table import Row
from store.times import DAY_MS, HOUR_MS

PERIODS_MS = {
    "1 h": HOUR_MS,
    "1 d": DAY_MS,
    "7 d": 7 * DAY_MS,
    "30 d": 30 * DAY_MS,
    "90 d": 90 * DAY_MS,
    "1 y": 365 * DAY_MS,
}
METRICS = {
    "values": (
        *("queue.depth", "nodes.node-3.rtt_ms", "state.videos", "outcomes.hybrid-v1.ctr"),
        *("latency.oldest_s", "sections.nodes.took_ms"),
    ),
    "percentiles": (
        *("latency.p50", "latency.p95", "latency.p99", "latency.p99.9"),
        *("latency.max", "latency_admin.p99"),
    ),
}
_MOST_SERIES_MS, _MOST_LATENCY_MS, _MOST_AT_MS = 50.0, 100.0, 10.0
#: Each process answers every question so often, in an order of its own.
_PROCESSES, _TIMES = 14, 3


@dataclass(frozen=True)
class Question:
    """A path to be asked, and the figure that its time belongs to."""

    figure: str
    path: str


@dataclass
class Times:
    """Server times in milliseconds: of the first question to a process, and of the others.

    `cpu` is the CPU time of these others, which other work on the machine does not lengthen.
    """

    first: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(directory: Path) -> list[Row]:
    """Ask the year's store everything that has a bound, and count the first requests apart."""
    store = year_store()
    config = write_config(directory, f"sqlite:///{store}")
    (times,) = ask([config], extent_ms(store), processes=_PROCESSES)
    rows = [_row(name, times[name], bound) for name, bound in bounds().items()]
    first = [ms for one in times.values() for ms in one.first]
    return [
        *rows,
        Row(
            "the same, first request of a process",
            f"{median(first):.0f} ms",
            detail=f"{len(first)} processes, {min(first):.0f} to {max(first):.0f} ms; imports and "
            "start are before it",
        ),
    ]


def bounds() -> dict[str, float]:
    """Return what the 95th percentile of each figure may be, in milliseconds."""
    series = {
        f"history of one of {kind}, {period}": _MOST_SERIES_MS
        for period in PERIODS_MS
        for kind in METRICS
    }
    return {
        **series,
        "exact percentiles of any period": _MOST_LATENCY_MS,
        "exact percentiles of the whole year": _MOST_LATENCY_MS,
        "document of any moment": _MOST_AT_MS,
    }


def ask(
    configs: Sequence[Path], extent: tuple[int, int], *, processes: int
) -> list[dict[str, Times]]:
    """Ask what `bounds` has, from one cold process after another; return the times by figure.

    Of several `configs` each is asked the same, in turn.
    """
    dice = random.Random(1)
    times = [{name: Times() for name in bounds()} for _ in configs]
    for number in range(processes):
        asked = [one for _ in range(_TIMES) for one in _questions(dice, extent)]
        dice.shuffle(asked)
        for config, own in zip(configs, times, strict=True):
            for place, (one, told) in enumerate(zip(asked, answers(config, asked), strict=True)):
                if told["status"] != 200:
                    raise BrokenBenchmarkError(f"{one.path}: answered {told['status']}")
                kept = own[one.figure]
                if place:
                    kept.others.append(told["ms"])
                    kept.cpu.append(told["cpu_ms"])
                else:
                    kept.first.append(told["ms"])
        print(f"  process {number + 1} of {processes}", file=sys.stderr, flush=True)
    return times


def answers(config: Path, asked: list[Question]) -> list[dict[str, Any]]:
    """Ask a new process; return what `bench.timed_requests` tells of each request."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.timed_requests", str(config)],
        input=json.dumps([one.path for one in asked]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BrokenBenchmarkError(f"no answers: {done.stderr[-2000:]}")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _questions(dice: random.Random, extent: tuple[int, int]) -> Iterator[Question]:
    """Yield a question for each figure: of the latest period, or of one anywhere in the year."""
    oldest_ms, newest_ms = extent
    for period, length_ms in PERIODS_MS.items():
        latest_ms = max(newest_ms - length_ms, oldest_ms)
        start_ms = latest_ms - dice.choice((0, 1)) * dice.randrange(latest_ms - oldest_ms + 1)
        span = {"from": start_ms / 1000, "to": (start_ms + length_ms) / 1000}
        for kind, metrics in METRICS.items():
            query = urlencode({"metric": dice.choice(metrics), **span})
            yield Question(
                f"history of one of {kind}, {period}", f"/api/engineering/history?{query}"
            )
    start_ms, end_ms = sorted(dice.sample(range(oldest_ms, newest_ms), 2))
    for figure, span_ms in (
        ("exact percentiles of any period", (start_ms, end_ms)),
        ("exact percentiles of the whole year", (oldest_ms, newest_ms - dice.randrange(HOUR_MS))),
    ):
        query = urlencode(
            {
                "class": dice.choice(("latency", "latency_admin")),
                "from": span_ms[0] / 1000,
                "to": span_ms[1] / 1000,
            }
        )
        yield Question(figure, f"/api/engineering/latency?{query}")
    at_s = dice.randrange(oldest_ms + DAY_MS, newest_ms) / 1000
    yield Question("document of any moment", f"/api/engineering?at={at_s}")


def _row(name: str, times: Times, bound: float) -> Row:
    p95_ms = _p95(times.others)
    return Row(
        name,
        f"{p95_ms:.1f} ms",
        bound=f"<= {bound:.0f} ms",
        is_met=p95_ms <= bound,
        detail=f"p95 of {len(times.others)} requests to {_PROCESSES} cold processes, median "
        f"{median(times.others):.1f}, max {max(times.others):.1f} ms; CPU {_p95(times.cpu):.1f} ms",
    )


def _p95(values: list[float]) -> float:
    """Return the nearest-rank 95th percentile."""
    return sorted(values)[ceil(0.95 * len(values)) - 1]
