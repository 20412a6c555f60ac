"""A Flask application under gunicorn with the recorder and without it: answers a second."""

import json
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.hello_apps import PLAIN, RECORDED
from bench.in_memory import directory_in_memory
from bench.processes import (
    BrokenBenchmarkError,
    free_port,
    output_of,
    running,
    wait_until_answering,
)
from bench.ring_counts import recorded
from bench.table import Row
from recorder.ring import DEFAULT_SLOTS, ring_size

_LEAST_RATIO = 0.97
#: Where things lie in memory is another throw of the dice with every start.
_STARTS = 6
_ROUNDS = 50
#: One worker, so that it is the server that is short of a processor, and not the load generator.
_WORKERS = {
    "sync": ("--workers", "1", "--worker-class", "sync"),
    "gthread": ("--workers", "1", "--worker-class", "gthread", "--threads", "4"),
}


def measure(directory: Path) -> list[Row]:
    """Load both in turn, for each class of workers; every answer has to be in a ring."""
    own = directory / "served-with-recorder"
    own.mkdir()
    return [_row(own, name, arguments) for name, arguments in _WORKERS.items()]


def _row(own: Path, name: str, worker: tuple[str, ...]) -> Row:
    starts = []
    for _ in range(_STARTS):
        with directory_in_memory(own, ring_size(DEFAULT_SLOTS)) as rings:
            starts.append(_load_both(own / f"{name}.log", worker, rings))
    ours, plain = (
        [rate for start in starts for rate in start[path]["rates"]] for path in (RECORDED, PLAIN)
    )
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    low, _, high = quantiles(ratios, n=4)
    our_us, plain_us = (
        1e6
        * sum(start[path]["cpu_s"] for start in starts)
        / sum(start[path]["answers"] for start in starts)
        for path in (RECORDED, PLAIN)
    )
    return Row(
        f"Flask under gunicorn {name} with the recorder / without",
        f"{median(ours):,.0f}/s",
        f"{median(plain):,.0f}/s",
        median(ratios),
        f">= {_LEAST_RATIO:.2f}",
        median(ratios) >= _LEAST_RATIO,
        f"{len(ratios)} pairs in {_STARTS} starts, half of them from {low:.2f} to {high:.2f}; "
        f"server CPU {our_us:.0f} and {plain_us:.0f} µs an answer",
    )


def _load_both(log: Path, worker: tuple[str, ...], rings: Path) -> dict[str, Any]:
    """Start a server and load it; return what `bench.alternating` tells."""
    port = free_port()
    arguments = ["gunicorn", "bench.hello_apps:create()", *worker, "--bind", f"127.0.0.1:{port}"]
    arguments += ["--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--log-level", "warning"]
    with running(log, *arguments, environ={"OPSNAP_BENCH_RINGS": str(rings)}) as server:
        wait_until_answering(server, log, port, PLAIN)
        numbers = map(str, (server.pid, port, _ROUNDS))
        told: dict[str, Any] = json.loads(output_of("bench.alternating", *numbers, PLAIN, RECORDED))
        found, answers = recorded(rings), told[RECORDED]["answers"]
    if found < answers:
        raise BrokenBenchmarkError(f"{found} of {answers} requests are recorded")
    return told
