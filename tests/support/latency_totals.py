"""How many requests of each class a daemon has put on record, to be compared with the truth."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.configuring import write_config
from tests.support.processes import Running, running
from tests.support.records import recorded, rows
from tests.support.request_counts import Completed
from tests.support.waiting import wait_for

CLASSES = ("latency", "latency_admin")
#: A few intervals, and the time that a machine full of other tests may take for them.
_PATIENCE_S = 15.0
_SUMS = (
    "SELECT class_key, SUM(count) AS count, SUM(errors) AS errors FROM interval_histograms"
    " GROUP BY class_key"
)

Totals = dict[str, Completed]


def latency_tree(
    store_url: str, *, rings: Path | None = None, access_log: Path | None = None
) -> dict[str, Any]:
    """Return the tree of a configuration that has nothing but latency, a tick a second."""
    latency: dict[str, Any] = {}
    if rings is not None:
        latency["recorder_dir"] = str(rings)
    if access_log is not None:
        latency["access_logs"] = [{"path": str(access_log), "format": "gunicorn"}]
    latency["classes"] = [
        {"key": "latency", "title": "Users", "exclude": ["/admin/"]},
        {"key": "latency_admin", "title": "Admin", "window": 200, "include": ["/admin/"]},
    ]
    return {
        "platform": {"name": "Counted", "region": "test", "description": "A test."},
        "store": {"url": store_url, "source": "test"},
        "schedule": {"interval_s": 1, "deadline_s": 0.8},
        "web": {"port": 0},
        "latency": latency,
    }


@contextmanager
def watching(directory: Path, tree: dict[str, Any]) -> Iterator[Running]:
    """Run a daemon with `tree` in the block, from its first snapshot on."""
    url = tree["store"]["url"]
    before = len(recorded(url))
    with running(write_config(directory / "opsnap.toml", tree), "daemon") as daemon:

        def has_begun() -> bool:
            assert daemon.process.poll() is None, f"the daemon ended:\n{daemon.log[-2000:]}"
            return len(recorded(url)) > before

        wait_for(has_begun, "its first snapshot")
        yield daemon


def wait_for_snapshots(url: str, count: int) -> None:
    """Return when the store has got `count` more snapshots than it has now."""
    enough = len(recorded(url)) + count
    wait_for(lambda: len(recorded(url)) >= enough, f"{count} more snapshots")


def stored_totals(url: str) -> Totals:
    """Return what the store's interval histograms add up to, by class."""
    sums = {row.class_key: Completed(row.count, row.errors) for row in rows(url, _SUMS)}
    return {key: sums.get(key, Completed(0, 0)) for key in CLASSES}


def final_totals(url: str, expected: Totals) -> Totals:
    """Return the totals once they are `expected` and stay so, or when patience is at its end."""
    ends = time.monotonic() + _PATIENCE_S
    while stored_totals(url) != expected and time.monotonic() < ends:
        time.sleep(0.05)
    # What is counted twice comes late.
    wait_for_snapshots(url, 2)
    return stored_totals(url)


def settled_totals(url: str) -> Totals:
    """Return the totals once two snapshots have come that added nothing."""
    while True:
        before = stored_totals(url)
        wait_for_snapshots(url, 2)
        if stored_totals(url) == before:
            return before


def told_losses(url: str) -> set[int | None]:
    """Return every `lost` that the documents tell of a class that has samples."""
    return {
        snapshot.document[key]["lost"]
        for snapshot in recorded(url)
        for key in CLASSES
        if snapshot.document[key]["samples"]
    }
