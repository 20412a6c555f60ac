"""Answers a second: bursts of load, the contestants in turn, so that noise meets all alike."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.processes import BrokenBenchmarkError, cpu_s, output_of

API = "/api/engineering"
_CONNECTIONS = 8


@dataclass(frozen=True)
class Contestant:
    """A server and what it is asked; with `etag` its answers have to be 304."""

    name: str
    pid: int
    port: int
    etag: str | None = None


@dataclass(frozen=True)
class Burst:
    """Answers a second, and the server's CPU time for each in microseconds."""

    rate: float
    cpu_us: float


def load(port: int, path: str = API, **options: float | str | None) -> dict[str, Any]:
    """Run the generator; `options` are its own, such as `seconds` and `most`."""
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    told: dict[str, Any] = json.loads(
        output_of("bench.generator", str(port), path, f"--connections={_CONNECTIONS}", *arguments)
    )
    return told


def rounds(
    contestants: Sequence[Contestant], *, count: int, seconds: float
) -> dict[str, list[Burst]]:
    """Load each contestant for `seconds`, in turn, `count` times, after a short warming up."""
    bursts: dict[str, list[Burst]] = {one.name: [] for one in contestants}
    for one in contestants:
        _burst(one, seconds / 2)
    for _ in range(count):
        for one in contestants:
            bursts[one.name].append(_burst(one, seconds))
    return bursts


def _burst(contestant: Contestant, seconds: float) -> Burst:
    before_s = cpu_s(contestant.pid)
    told = load(contestant.port, seconds=seconds, etag=contestant.etag)
    used_s = cpu_s(contestant.pid) - before_s
    expected = "304" if contestant.etag else "200"
    if set(told["statuses"]) != {expected}:
        raise BrokenBenchmarkError(f"{contestant.name} answered {told['statuses']}")
    answers = int(told["answers"])
    return Burst(answers / told["seconds"], 1e6 * used_s / answers)


def median_rate(bursts: Sequence[Burst]) -> str:
    """Return the median of the bursts' rates as a text."""
    return f"{median(burst.rate for burst in bursts):,.0f}/s"


def median_ratio(ours: Sequence[Burst], peers: Sequence[Burst]) -> tuple[float, str]:
    """Return the median of the pairs' ratios of rates, and a text on spread and CPU time."""
    ratios = sorted(a.rate / b.rate for a, b in zip(ours, peers, strict=True))
    our_us, peer_us = (median(burst.cpu_us for burst in side) for side in (ours, peers))
    return median(ratios), (
        f"{len(ratios)} pairs, {ratios[0]:.2f} to {ratios[-1]:.2f}; "
        f"server CPU {our_us:.0f} and {peer_us:.0f} µs an answer"
    )
