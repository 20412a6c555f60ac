"""The real recorder's ticks, timed from outside in a process of its own.

`python -m bench.timed_ticks CONFIG TICKS LINES` appends LINES requests to the access log before
each tick, waits for a slot that has no snapshot, and prints a JSON list with an object a tick:
`wall_s` and `cpu_s` from the call to its return after the commit, and the document. Ends with
status 1 when a tick was not committed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.watched import write_requests
from config import load
from daemon.recording import Recorder
from store.codec import decode
from store.engines import open_writer


def main(config_path: Path, ticks: int, lines: int) -> None:
    """Take `ticks` snapshots and print what each cost."""
    # As daemon.service does.
    sys.setswitchinterval(0.0005)
    config = load(config_path)
    recorder = Recorder(config, open_writer(config.store.url))
    access_log = Path(config.latency.access_logs[0].path) if config.latency else None
    interval_s = config.schedule.interval_s
    print(json.dumps([_tick(recorder, interval_s, access_log, lines) for _ in range(ticks)]))


def _tick(
    recorder: Recorder, interval_s: int, access_log: Path | None, lines: int
) -> dict[str, Any]:
    if access_log is not None:
        write_requests(access_log, lines)
    time.sleep(interval_s - time.time() % interval_s)
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    tick = recorder.tick()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    if tick is None:
        sys.exit("a tick was not committed; the log says why")
    return {"wall_s": wall_s, "cpu_s": cpu_s, "document": decode(tick.snapshot.document)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
