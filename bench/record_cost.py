"""The recorder's own record call against what an application would record with instead."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import environ
from pathlib import Path
from statistics import median

from bench.processes import BrokenBenchmarkError
from bench.table import Row
from bench.timed_calls import CALLS

_MOST_OF_PROMETHEUS = 0.35
_MOST_OF_OPENTELEMETRY = 0.2
_ROUNDS = 101
#: So often the list of calls is made in a round: some 10 ms for the recorder.
_TIMES = 4
_OURS, _PROMETHEUS, _OPENTELEMETRY = (
    "bench.record_ours",
    "bench.record_prometheus",
    "bench.record_opentelemetry",
)

_Contestant = subprocess.Popen[str]


def measure(directory: Path) -> list[Row]:
    """Let three processes record the same requests in turn, many times."""
    own = directory / "record-cost"
    rings, metrics = own / "rings", own / "metrics"
    rings.mkdir(parents=True)
    metrics.mkdir()
    with ExitStack() as stack:
        contestants = {
            _OURS: stack.enter_context(_recording(_OURS, str(rings))),
            _PROMETHEUS: stack.enter_context(
                _recording(_PROMETHEUS, environment={"PROMETHEUS_MULTIPROC_DIR": str(metrics)})
            ),
            _OPENTELEMETRY: stack.enter_context(_recording(_OPENTELEMETRY)),
        }
        for one in contestants.values():
            _time(one)
        rounds = [{name: _time(one) for name, one in contestants.items()} for _ in range(_ROUNDS)]
        for name, one in contestants.items():
            _require_all_recorded(name, one)
    return [
        _row(rounds, _PROMETHEUS, "prometheus_client, multiprocess", _MOST_OF_PROMETHEUS),
        _row(rounds, _OPENTELEMETRY, "OpenTelemetry's SDK", _MOST_OF_OPENTELEMETRY),
    ]


@contextmanager
def _recording(
    module: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[_Contestant]:
    """Run a contestant until the block ends; see `bench.timed_calls`."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environ, **(environment or {})},
    ) as process:
        try:
            _answer(process)
            yield process
        finally:
            process.kill()


def _time(contestant: _Contestant) -> float:
    """Let a contestant make its calls; return how many nanoseconds one took."""
    assert contestant.stdin
    contestant.stdin.write(f"{_TIMES}\n")
    contestant.stdin.flush()
    return float(_answer(contestant))


def _require_all_recorded(name: str, contestant: _Contestant) -> None:
    assert contestant.stdin
    contestant.stdin.close()
    recorded, expected = int(_answer(contestant)), (_ROUNDS + 1) * _TIMES * CALLS
    if recorded != expected:
        raise BrokenBenchmarkError(f"{name} recorded {recorded:,} of {expected:,} requests")


def _answer(contestant: _Contestant) -> str:
    assert contestant.stdout
    line = contestant.stdout.readline()
    if not line:
        raise BrokenBenchmarkError(f"{contestant.args!r} ended with {contestant.wait()}")
    return line


def _row(rounds: list[dict[str, float]], peer: str, title: str, bound: float) -> Row:
    ratios = sorted(one[_OURS] / one[peer] for one in rounds)
    ours_us, peer_us = (median(one[name] for one in rounds) / 1000 for name in (_OURS, peer))
    ratio = median(ratios)
    return Row(
        f"recording a request / {title}",
        f"{ours_us:.2f} µs",
        f"{peer_us:.2f} µs",
        ratio,
        f"<= {bound}",
        ratio <= bound,
        f"{len(ratios)} pairs of {_TIMES * CALLS:,} calls, {ratios[0]:.2f} to {ratios[-1]:.2f}",
    )
