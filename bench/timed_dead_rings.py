"""Drains of the daemon's recorder that meet rings of dead processes, in a process of its own.

`python -m bench.timed_dead_rings CONFIG TIMES RINGS RECORDS SLOTS` has so many rings written and
times the drain after that, several times, and takes a snapshot at the end. It prints as JSON: the
`wall_s` and `cpu_s` of each drain, how many files it `left`, and the requests of each class that
were `written` and are `stored`.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from bench.processes import output_of
from config import load
from daemon.recording import Recorder
from store.engines import open_writer
from store.tables import interval_histograms


def main(config_path: Path, times: int, *sizes: int) -> None:
    """Time the drains and print what came of them."""
    # As daemon.service does.
    sys.setswitchinterval(0.0005)
    config = load(config_path)
    assert config.latency
    assert config.latency.recorder_dir
    rings = Path(config.latency.recorder_dir)
    engine = open_writer(config.store.url)
    recorder = Recorder(config, engine)
    recorder.drain()
    told: dict[str, Any] = {"wall_s": [], "cpu_s": [], "left": []}
    written: Counter[str] = Counter()
    for _ in range(times):
        written.update(json.loads(output_of("bench.ring_files", str(rings), *map(str, sizes))))
        began_s, cpu_began_s = time.perf_counter(), time.process_time()
        recorder.drain()
        told["wall_s"].append(time.perf_counter() - began_s)
        told["cpu_s"].append(time.process_time() - cpu_began_s)
        told["left"].append(len(list(rings.iterdir())))
    if recorder.tick() is None:
        sys.exit("the snapshot was not committed; the log says why")
    print(json.dumps({**told, "written": written, "stored": _stored(engine)}))


def _stored(engine: Engine) -> dict[str, int]:
    """Return how many requests the store has of each class."""
    columns = interval_histograms.c
    counts = select(columns.class_key, func.sum(columns.count)).group_by(columns.class_key)
    with engine.connect() as connection:
        return {key: int(count) for key, count in connection.execute(counts)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
