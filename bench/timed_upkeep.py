"""The daemon's own upkeep, timed, while snapshots come to a store, in a process of its own.

`python -m bench.timed_upkeep STORE HOURS` writes HOURS of snapshots to the store that
`python -m bench.year` has made, five minutes at a time, and lets upkeep do all that is then due. It
prints a JSON list with an object each: `cpu_ms`, `pieces` of work, and `at`, when they were taken.
"""

import json
import sys
import time

from bench.year.__main__ import bottube
from bench.year.snapshots import Year
from daemon.upkeep import Upkeep
from store.engines import open_writer
from store.reading import newest_taken_at_ms
from store.times import HOUR_MS, MINUTE_MS, plain_utc
from store.writing import add_all

_STEP_MS = 5 * MINUTE_MS


def main(url: str, hours: int) -> None:
    """Go on from the newest snapshot of the store at `url`, and print what each cycle cost."""
    config, engine = bottube(url), open_writer(url)
    source, year = config.store.source, Year(config, 1)
    upkeep = Upkeep(engine, source, config.retention)
    with engine.connect() as connection:
        newest_ms = newest_taken_at_ms(connection, source)
    assert newest_ms is not None
    cycles = []
    # The first snapshot of a period completes the one before.
    for end_ms in range(newest_ms + _STEP_MS, newest_ms + hours * HOUR_MS, _STEP_MS):
        taken = []
        for snapshot in year.documents(newest_ms + 1, end_ms):
            taken.append(year.with_intervals(snapshot, newest_ms))
            newest_ms = snapshot.taken_at_ms
        with engine.begin() as connection:
            add_all(connection, taken)
        pieces, began_s = 0, time.process_time()
        while upkeep.work():
            pieces += 1
        cpu_ms = (time.process_time() - began_s) * 1000
        cycles.append({"cpu_ms": cpu_ms, "pieces": pieces, "at": plain_utc(newest_ms)})
    # The first one had to catch up with whatever was left.
    print(json.dumps(cycles[1:]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
