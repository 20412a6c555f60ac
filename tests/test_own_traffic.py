"""What opsnap itself causes is no user traffic; what only looks like it is."""

from pathlib import Path

import pytest

from tests.support.documents import now_ms
from tests.support.logs import append
from tests.support.recorders import Slots, Start, counted, line, lines, tree_of
from tests.support.ring_writers import dead_ring

pytest_plugins = ("tests.support.daemon_plugin",)

_OWN = (
    "/engineering",
    "/engineering/",
    "/engineering/old?at=-7d",
    "/api/engineering",
    "/api/engineering?at=now",
    "/api/engineering/history?metric=queue.queued",
    "/api/engineering/latency?class=latency_admin",
    "/ops",
    "/ops/",
    "/ops/engineering",
    "/ops/api/engineering/history",
    "/ops/static/page.css",
    "/status/health",
    "/status/health?probe=1",
)
_USERS = (
    "/",
    "/engineering-blog",
    "/engineering.html",
    "/api/engineering-team",
    "/api/engineerings/1",
    "/opsnap",
    "/ops-team/7",
    "/status",
    "/status/health/deep",
    "/status/healthy",
    "/watch/engineering",
    "/Engineering",
)


def test_opsnaps_pages_and_probes_are_no_traffic_in_rings_nor_in_logs(
    tmp_path: Path, sqlite_url: str, rings: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(monkeypatch)
    log = tmp_path / "access.log"
    # What the window is filled with at the start is chosen by the same rules.
    log.write_text("".join(line(n, path) for n, path in enumerate((*_OWN, *_USERS))))
    tree = tree_of(sqlite_url, logs=[log], rings=rings)
    # Port 9 of this machine: nobody is there.
    tree["platform"] |= {"health_url": "http://127.0.0.1:9/status/health", "health_timeout_s": 0.5}
    tree["web"]["url_prefix"] = "/ops"
    daemon = start(tree)
    assert daemon.tick()
    assert daemon.entry()["samples"] == len(_USERS)
    append(log, *(line(n, path) for n, path in enumerate((*_OWN, *_USERS))))
    bare = [path.partition("?")[0] for path in (*_OWN, *_USERS)]
    dead_ring(rings, [(now_ms(), 1, 200, path) for path in bare])
    slots.next()
    assert daemon.tick()
    assert daemon.entry()["samples"] == 3 * len(_USERS)
    assert counted(sqlite_url) == {"latency": 2 * len(_USERS), "latency_admin": 0}


def test_without_a_prefix_and_a_health_url_only_the_pages_are_opsnaps(
    tmp_path: Path, sqlite_url: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots(monkeypatch)
    log = tmp_path / "access.log"
    log.write_text(lines(1))
    daemon = start(tree_of(sqlite_url, logs=[log]))
    assert daemon.tick()
    append(log, *(line(n, path) for n, path in enumerate(_OWN)))
    slots.next()
    assert daemon.tick()
    # Those under /ops and /status.
    assert counted(sqlite_url)["latency"] == 7
