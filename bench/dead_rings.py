"""A thousand rings of dead processes: how long the next drain takes, and that it leaves none."""

import json
from pathlib import Path
from statistics import median

from bench.in_memory import directory_in_memory
from bench.latency_config import write_latency_config
from bench.processes import BrokenBenchmarkError, output_of
from bench.table import Row
from migrations.upgrading import upgrade
from recorder.ring import DEFAULT_SLOTS, ring_size

_RINGS = 1000
#: Between two drains, two seconds apart, so much is new in a ring at 50 requests a second.
_RECORDS = 100
_LONGEST_S = 1.0
_TIMES = 5


def measure(directory: Path) -> list[Row]:
    """Let a daemon's recorder find them, several times; the store has to have every request."""
    own = directory / "dead-rings"
    own.mkdir()
    with directory_in_memory(own, 2 * _RINGS * ring_size(DEFAULT_SLOTS)) as rings:
        config = write_latency_config(own, rings=rings)
        upgrade(f"sqlite:///{own / 'store.db'}")
        sizes = (_TIMES, _RINGS, _RECORDS, DEFAULT_SLOTS)
        told = json.loads(output_of("bench.timed_dead_rings", str(config), *map(str, sizes)))
    if told["stored"] != told["written"]:
        raise BrokenBenchmarkError(f"written {told['written']}, but stored {told['stored']}")
    if any(told["left"]):
        raise BrokenBenchmarkError(f"rings were left: {told['left']}")
    times_s, cpus_s = sorted(told["wall_s"]), told["cpu_s"]
    return [
        Row(
            f"the drain that removes {_RINGS:,} rings of dead processes",
            f"{median(times_s):.2f} s",
            bound=f"<= {_LONGEST_S:g} s, 0 left",
            is_met=median(times_s) <= _LONGEST_S,
            detail=f"{len(times_s)} times, {times_s[0]:.2f} to {times_s[-1]:.2f} s, CPU "
            f"{median(cpus_s):.2f}; {_RECORDS} requests in each, all in the store; "
            f"{ring_size(DEFAULT_SLOTS) / 1e6:.1f} MB a ring",
        )
    ]
