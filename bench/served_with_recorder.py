"""A Flask application under gunicorn with the recorder and without it: answers a second."""

from pathlib import Path

from bench.hello_apps import PLAIN, RECORDED
from bench.in_memory import directory_in_memory
from bench.processes import BrokenBenchmarkError, free_port, running, wait_until_answering
from bench.rates import Burst, Contestant, median_rate, median_ratio, rounds
from bench.ring_counts import recorded
from bench.table import Row
from recorder.ring import DEFAULT_SLOTS, ring_size

_LEAST_RATIO = 0.97
#: Where things lie in memory is another throw of the dice with every start.
_STARTS = 5
_ROUNDS = 12
_SECONDS = 0.3
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
    bursts: dict[str, list[Burst]] = {RECORDED: [], PLAIN: []}
    for _ in range(_STARTS):
        with directory_in_memory(own, ring_size(DEFAULT_SLOTS)) as rings:
            for path, some in _load_both(own / f"{name}.log", worker, rings).items():
                bursts[path] += some
    ratio, detail = median_ratio(bursts[RECORDED], bursts[PLAIN])
    return Row(
        f"Flask under gunicorn {name} with the recorder / without",
        median_rate(bursts[RECORDED]),
        median_rate(bursts[PLAIN]),
        ratio,
        f">= {_LEAST_RATIO:.2f}",
        ratio >= _LEAST_RATIO,
        f"{_STARTS} starts, {detail}",
    )


def _load_both(log: Path, worker: tuple[str, ...], rings: Path) -> dict[str, list[Burst]]:
    port = free_port()
    arguments = ["gunicorn", "bench.hello_apps:create()", *worker, "--bind", f"127.0.0.1:{port}"]
    arguments += ["--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--log-level", "warning"]
    with running(log, *arguments, environ={"OPSNAP_BENCH_RINGS": str(rings)}) as server:
        wait_until_answering(server, log, port, PLAIN)
        both = [Contestant(path, server.pid, port, path=path) for path in (PLAIN, RECORDED)]
        bursts = rounds(both, count=_ROUNDS, seconds=_SECONDS)
        found, answers = recorded(rings), sum(burst.answers for burst in bursts[RECORDED])
    if found < answers:
        raise BrokenBenchmarkError(f"{found} of {answers} requests are recorded")
    return bursts
