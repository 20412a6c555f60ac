import base64
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hdrh.histogram import HdrHistogram

from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import STARTED, running
from tests.support.records import recorded, rows
from tests.support.waiting import wait_for

_KILLS = 50
_INTERVAL_MS = 1000
#: Many classes make the transaction long, so that many of the kills come in the middle of it.
_CLASSES = [f"latency_{number:03d}" for number in range(120)]


@pytest.mark.timeout(150)
def test_a_daemon_killed_at_arbitrary_moments_leaves_whole_snapshots_and_goes_on(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> None:
    access_log = tmp_path / "access.log"
    access_log.write_text(log_line())
    config = write_config(tmp_path / "opsnap.toml", _tree(sqlite_url, bottube_path, access_log))
    with running(config, "daemon") as daemon:
        daemon.wait_for_log(STARTED)
        began = time.monotonic()
        daemon.wait_for_log("opsnap.daemon: tick ")
        # On this machine, now: kills are to come before, during and after the commit.
        longest_delay_s = min(1.4 * (time.monotonic() - began), 1.5)
        daemon.kill()
    dice = random.Random(20261120)
    for number in range(_KILLS):
        with running(config, "daemon", log_path=tmp_path / f"killed-{number}.log") as daemon:
            # Most from the first tick's begin, some from the very start of the process.
            if number % 5:
                daemon.wait_for_log(STARTED)
            with access_log.open("a") as log:
                log.write(log_line())
            time.sleep(dice.uniform(0.0, longest_delay_s))
            daemon.kill()
    survived = len(recorded(sqlite_url))
    assert 3 < survived < _KILLS, "the kills came too early or too late to say anything"
    with running(config, "daemon") as daemon:
        wait_for(lambda: len(recorded(sqlite_url)) >= survived + 2, "two more snapshots")
        daemon.seconds_to_end(signal.SIGTERM)
    _assert_snapshots_are_whole(sqlite_url)
    assert rows(sqlite_url, "PRAGMA integrity_check")[0][0] == "ok"


def _tree(store_url: str, observed: Path, log: Path) -> dict[str, Any]:
    tree = bottube_tree(
        store_url=store_url, observed_url=f"sqlite:///{observed}", log_path=log, interval_s=1
    )
    tree["latency"]["classes"] = [{"key": key, "title": key, "window": 10} for key in _CLASSES]
    return tree


def _assert_snapshots_are_whole(url: str) -> None:
    snapshots = recorded(url)
    sections = {*_CLASSES, "nodes", "state", "queue", "outcomes", "experiments", "pipeline"}
    for snapshot in snapshots:
        assert snapshot.document["sections"].keys() == sections
        assert sections < snapshot.document.keys()
    slots = Counter(snapshot.taken_at_ms // _INTERVAL_MS for snapshot in snapshots)
    assert [slot for slot, count in slots.items() if count > 1] == []
    assert rows(url, "SELECT newest_taken_at FROM sources")[0][0] == snapshots[-1].taken_at_ms
    classes: dict[int, set[str]] = {snapshot.taken_at_ms: set() for snapshot in snapshots}
    for row in rows(url, "SELECT taken_at, class_key, count, histogram FROM interval_histograms"):
        classes[row.taken_at].add(row.class_key)
        histogram = HdrHistogram.decode(base64.b64encode(row.histogram))
        assert histogram.get_total_count() == row.count
    assert [taken_at for taken_at, keys in classes.items() if keys != set(_CLASSES)] == []
