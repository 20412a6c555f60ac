"""The load generator on two paths of one server in turn, in slices of a tenth of a second.

Short slices, so that both meet the same noise. A process of its own:
`python -m bench.alternating PID PORT ROUNDS PATH PATH` prints as JSON, for each path, the answers a
second of every slice, how many answers there were, and the CPU seconds that the server used.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.generator import drive, request_for
from bench.processes import cpu_s

_SLICE_S = 0.1
_CONNECTIONS = 8


@dataclass
class Side:
    """What came of one path."""

    rates: list[float] = field(default_factory=list)
    answers: int = 0
    cpu_s: float = 0.0


def alternate(pid: int, port: int, rounds: int, paths: tuple[str, str]) -> dict[str, Side]:
    """Load both paths in every round, in the one order and the other, after a round to warm up."""
    _load(Side(), pid, port, paths[0])
    _load(Side(), pid, port, paths[1])
    sides = {path: Side() for path in paths}
    for turn in range(rounds):
        for path in paths[:: 1 if turn % 2 else -1]:
            _load(sides[path], pid, port, path)
    return sides


def _load(side: Side, pid: int, port: int, path: str) -> None:
    cpu_began_s, began_s = cpu_s(pid), time.perf_counter()
    tally = drive(port, request_for(port, path), _CONNECTIONS, _SLICE_S, sys.maxsize)
    took_s = time.perf_counter() - began_s
    if set(tally.statuses) != {"200"}:
        sys.exit(f"{path} answered {dict(tally.statuses)}")
    side.rates.append(tally.answers / took_s)
    side.answers += tally.answers
    side.cpu_s += cpu_s(pid) - cpu_began_s


if __name__ == "__main__":
    pid, port, rounds = map(int, sys.argv[1:4])
    told = alternate(pid, port, rounds, (sys.argv[4], sys.argv[5]))
    print(json.dumps({path: asdict(side) for path, side in told.items()}))
