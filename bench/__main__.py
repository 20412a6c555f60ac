"""Run every figure, or those that are named, and print the table.

`python -m bench [FIGURE …]`. The exit status is 0 unless a benchmark itself broke: bounds are
printed, not asserted, for the machine may be busy with other things. The first of the figures of
history makes a year of data, which takes many minutes; it stays under `build/` for the next time.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import (
    dead_rings,
    draining,
    footprint,
    history_naive,
    history_page,
    history_postgresql,
    history_queries,
    history_upkeep,
    many_nodes,
    newest_json,
    record_cost,
    served_with_recorder,
    tick_cost,
    wsgi_servers,
)
from bench.table import Row, formatted

FIGURES: dict[str, Callable[[Path], list[Row]]] = {
    "newest-json": newest_json.measure,
    "many-nodes": many_nodes.measure,
    "tick-cost": tick_cost.measure,
    "record-cost": record_cost.measure,
    "served-with-recorder": served_with_recorder.measure,
    "draining": draining.measure,
    "dead-rings": dead_rings.measure,
    "footprint": footprint.measure,
    "wsgi-servers": wsgi_servers.measure,
    "history-queries": history_queries.measure,
    "history-naive": history_naive.measure,
    "history-upkeep": history_upkeep.measure,
    "history-page": history_page.measure,
    "history-postgresql": history_postgresql.measure,
}


def main(names: list[str]) -> int:
    """Print the table of the figures `names`, or of all, and return the exit status."""
    if unknown := set(names) - FIGURES.keys():
        print(f"{', '.join(sorted(unknown))}: expected one of {', '.join(FIGURES)}")
        return 2
    rows: list[Row] = []
    broken: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opsnap-bench-") as directory:
        for name in names or FIGURES:
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            try:
                rows += FIGURES[name](Path(directory))
            except Exception as error:  # noqa: BLE001 - the other figures stand without it
                broken.append(f"{name}: broken: {error!r}")
    print(formatted(rows))
    print(
        f"\nPython {platform.python_version()}, {os.cpu_count()} processors, load "
        f"{os.getloadavg()[0]:.1f} at the end, {time.monotonic() - began:.0f} s in all. Ratios are "
        "medians of interleaved pairs; rates are medians."
    )
    print("\n".join(broken), end="\n" if broken else "")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
