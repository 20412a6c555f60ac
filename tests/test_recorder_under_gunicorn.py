"""Every request of every worker counted exactly once, whatever befalls the workers.

The application counts for itself, apart from the recorder; see support/request_counts.py.
"""

from pathlib import Path

import pytest

from tests.support.gunicorn_platform import (
    PATHS,
    RECYCLED_AFTER,
    WORKERS,
    every_second,
    gunicorn,
    load,
)
from tests.support.latency_totals import final_totals, latency_tree, told_losses, watching
from tests.support.waiting import wait_for

_SECONDS = 12


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--worker-class", "sync"], id="sync"),
        pytest.param(["--worker-class", "gthread", "--threads", "4", "--preload"], id="gthread"),
    ],
)
def test_the_store_has_each_completed_request_of_recycled_and_killed_workers_once(
    tmp_path: Path, sqlite_url: str, arguments: list[str]
) -> None:
    rings = tmp_path / "rings"
    rings.mkdir()
    with (
        watching(tmp_path, latency_tree(sqlite_url, rings=rings)),
        gunicorn(tmp_path, *arguments, rings=rings) as platform,
    ):
        with load(platform.port, (*PATHS, "/api/raises")) as got:
            for _ in every_second(_SECONDS):
                platform.kill_a_worker()
        platform.stop()
        completed = platform.completed()
        assert final_totals(sqlite_url, completed) == completed
        wait_for(lambda: not list(rings.iterdir()), "no ring of a dead process is left")
    assert got.cut_off > 0, "workers were killed between requests only"
    assert completed["latency"].count > 2 * WORKERS * RECYCLED_AFTER
    assert completed["latency"].errors > 0
    assert completed["latency_admin"].count > 0
    assert told_losses(sqlite_url) == {0}
