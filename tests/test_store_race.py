"""Several writers that want the same tick: one gets it, the others are told so."""

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

from store.engines import open_writer
from store.intervals import LatencyInterval
from store.writing import Snapshot, TickAlreadyRecordedError, commit
from tests.support.documents import INTERVAL_MS, TAKEN_AT_MS
from tests.support.records import rows

ROOT = Path(__file__).parents[1]
PROCESSES, TICKS = 3, 25

#: Wants every tick, from the moment that it is told to begin; prints which ones it got.
RACER = f"""
import sys
from store.engines import open_writer
from store.intervals import LatencyInterval
from store.writing import Snapshot, TickAlreadyRecordedError, commit

url, name = sys.argv[1:]
engine = open_writer(url)
engine.connect().close()
print("ready", flush=True)
sys.stdin.readline()
for n in range({TICKS}):
    interval = LatencyInterval()
    interval.histogram.record(int(name))
    document = '{{"writer": %s}}' % name
    taken_at_ms = {TAKEN_AT_MS} + n * {INTERVAL_MS} + int(name)
    try:
        intervals = {{"latency": interval}}
        commit(engine, Snapshot("one", taken_at_ms, {INTERVAL_MS}, document, intervals))
        print(taken_at_ms)
    except TickAlreadyRecordedError:
        pass
"""


def test_processes_that_race_for_ticks_leave_exactly_one_snapshot_of_each(store_url: str) -> None:
    engine = open_writer(store_url)
    before = Snapshot("one", TAKEN_AT_MS - INTERVAL_MS, INTERVAL_MS, "{}", {})
    commit(engine, before)
    engine.dispose()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, store_url, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(1, PROCESSES + 1)
    ]
    try:
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [racer.communicate(timeout=30)[0].split() for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert [racer.returncode for racer in racers] == [0] * PROCESSES
    stored = rows(store_url, "SELECT taken_at, document FROM snapshots ORDER BY taken_at")[1:]
    assert [(row.taken_at - TAKEN_AT_MS) // INTERVAL_MS for row in stored] == list(range(TICKS))
    # What each believes to have written is what is there, and each snapshot is of one writer.
    assert sorted(int(taken_at) for one in told for taken_at in one) == [r.taken_at for r in stored]
    parts = rows(store_url, "SELECT taken_at, min_us FROM interval_histograms ORDER BY taken_at")
    assert [(row.taken_at, row.min_us) for row in parts] == [
        (row.taken_at, json.loads(row.document)["writer"]) for row in stored
    ]
    assert {row.taken_at % INTERVAL_MS == json.loads(row.document)["writer"] for row in stored} == {
        True
    }


def test_of_writers_that_race_for_the_very_first_tick_all_but_one_are_told_it_is_taken(
    store_url: str,
) -> None:
    writers, races = 4, 8
    outcomes: Counter[tuple[str, str]] = Counter()
    barrier = threading.Barrier(writers, timeout=30)

    def race(number: int) -> None:
        engine = open_writer(store_url)
        for n in range(races):
            interval = LatencyInterval()
            interval.histogram.record(number + 1)
            intervals = {"latency": interval}
            one = Snapshot(
                f"source-{n}", TAKEN_AT_MS, INTERVAL_MS, f'{{"writer": {number}}}', intervals
            )
            barrier.wait()
            try:
                commit(engine, one)
                outcomes[one.source, "stored"] += 1
            except TickAlreadyRecordedError:
                outcomes[one.source, "taken"] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the test has to tell
                outcomes[one.source, type(error).__name__] += 1
        engine.dispose()

    threads = [threading.Thread(target=race, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = rows(store_url, "SELECT source, document FROM snapshots ORDER BY source")
    parts = rows(store_url, "SELECT source, min_us FROM interval_histograms ORDER BY source")
    assert [row.source for row in stored] == [f"source-{n}" for n in range(races)]
    assert [row.min_us for row in parts] == [
        json.loads(row.document)["writer"] + 1 for row in stored
    ]
    assert outcomes == Counter(
        {(f"source-{n}", "stored"): 1 for n in range(races)}
        | {(f"source-{n}", "taken"): writers - 1 for n in range(races)}
    )
