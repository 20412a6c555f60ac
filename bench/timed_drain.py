"""A drain of the real collector, as the daemon wires it, timed in a process of its own.

`python -m bench.timed_drain CONFIG [LINES]` begins to follow what the configuration names, appends
the file LINES to its access log if one is given, and prints as JSON of the drain after that:
`wall_s`, `cpu_s`, the `counts` of the interval by class, what was `lost` and not `parsed`, and the
process's peak memory in MB.
"""

import json
import resource
import shutil
import sys
import time
from pathlib import Path

from config import load
from daemon.samplers import latency


def main(config_path: Path, lines: Path | None) -> None:
    """Drain, and print what it cost and what came of it."""
    # As daemon.service does.
    sys.setswitchinterval(0.0005)
    config = load(config_path)
    collector = latency.build(config, None).collecting
    assert config.latency
    assert collector
    if lines is not None:
        collector.drain()
        log = config.latency.access_logs[0].path
        with lines.open("rb") as source, Path(log).open("ab") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    collector.drain()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    intervals = collector.cut().intervals
    told = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "counts": {key: one.histogram.count for key, one in intervals.items()},
        "lost": [one.lost for one in intervals.values()],
        "unparsed": [one.unparsed for one in intervals.values()],
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
