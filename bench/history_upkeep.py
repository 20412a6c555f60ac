"""What keeping a year costs: bytes on the disk, and CPU time of making and deleting."""

import json
import shutil
import sqlite3
from math import ceil
from pathlib import Path
from statistics import median

from bench.history_store import year_store
from bench.processes import output_of
from bench.table import Row

_MOST_MB = 400
_MOST_CPU_MS = 100.0
#: A cycle each five minutes: a day and an hour have all that ever comes together.
_HOURS = 25


def measure(directory: Path) -> list[Row]:
    """Weigh the year's store, and let upkeep go on with a copy of it."""
    store = year_store()
    copy = directory / "upkeep.db"
    shutil.copyfile(store, copy)
    cycles = json.loads(output_of("bench.timed_upkeep", f"sqlite:///{copy}", str(_HOURS)))
    copy.unlink()
    cpu_ms = sorted(cycle["cpu_ms"] for cycle in cycles)
    slowest = max(cycles, key=lambda cycle: float(cycle["cpu_ms"]))
    p95_ms = cpu_ms[ceil(0.95 * len(cpu_ms)) - 1]
    megabytes = store.stat().st_size / 1e6
    return [
        Row(
            "a year with default retention",
            f"{megabytes:.0f} MB",
            bound=f"<= {_MOST_MB} MB",
            is_met=megabytes <= _MOST_MB,
            detail=_contents(store),
        ),
        Row(
            "CPU of a roll-up cycle, the worst of a day",
            f"{cpu_ms[-1]:.0f} ms",
            bound=f"<= {_MOST_CPU_MS:.0f} ms",
            is_met=cpu_ms[-1] <= _MOST_CPU_MS,
            detail=f"{len(cpu_ms)} cycles, a cycle each 5 minutes with all that is due: median "
            f"{median(cpu_ms):.0f}, p95 {p95_ms:.0f} ms; the worst did {slowest['pieces']} "
            f"pieces at {slowest['at']}",
        ),
    ]


def _contents(store: Path) -> str:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        sizes = connection.execute(
            "SELECT tbl_name, SUM(pgsize) / 1e6 FROM dbstat JOIN sqlite_schema USING (name)"
            " GROUP BY tbl_name ORDER BY 2 DESC LIMIT 5"
        ).fetchall()
    except sqlite3.OperationalError:
        return "this SQLite cannot tell what takes how much"
    finally:
        connection.close()
    return ", ".join(f"{name} {megabytes:.0f}" for name, megabytes in sizes)
