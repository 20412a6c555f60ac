"""Any number of visitors costs the watched platform nothing: counted there, by the kernel."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.configuring import bottube_tree, write_config
from tests.support.documents import INTERVAL_MS, full_document, store, this_tick_ms
from tests.support.file_watch import OpenedFiles
from tests.support.processes import ROOT, run, running
from tests.support.servers import RawServer, healthy

VIEWS, VISITORS = 10_000, 4
#: What each visitor asks for in turn.
PATHS = ("/engineering", "/api/engineering")
#: And a few of moments of the past, or of nothing at all.
ODD_PATHS = ("/engineering?at=-1s", "/api/engineering?at=now", "/api/engineering?at=never")
#: The web app looks for a newer snapshot at most 5 times a second, whoever asks.
LOOKS_PER_S = 5

LOADED_MODULES = """
import json, sys
from pathlib import Path
import opsnap, web.server
from config import load
from web.app import create_app
visitor = create_app(load(Path(sys.argv[1]))).test_client()
statuses = [visitor.get(path).status_code for path in ("/engineering", "/api/engineering")]
print(json.dumps([statuses, sorted(sys.modules)]))
"""


@dataclass
class Watched:
    """A platform that counts what is asked of it, and a record of it."""

    config: Path
    store_url: str
    servers: list[RawServer]
    database_opened: Callable[[], int]
    log_opened: Callable[[], int]
    store_opened: Callable[[], int]

    def asked(self) -> dict[str, int]:
        """Return how often each part of the platform was asked, since the start."""
        return {
            "connections": sum(server.connections for server in self.servers),
            "database": self.database_opened(),
            "log": self.log_opened(),
        }


@pytest.fixture
def watched(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> Iterator[Watched]:
    platform = tmp_path / "platform"
    platform.mkdir()
    database = bottube_path.rename(platform / "bottube.db")
    log = platform / "access.log"
    log.write_text(log_line())
    store(sqlite_url, full_document(this_tick_ms() - 100 * INTERVAL_MS))
    with RawServer(healthy()) as health, RawServer(healthy()) as node:
        tree = bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{database}",
            log_path=log,
            node_urls=(node.url,),
            health_url=health.url,
        )
        tree["web"]["threads"] = VISITORS
        config = write_config(tmp_path / "opsnap.toml", tree)
        with OpenedFiles(platform) as of_platform, OpenedFiles(tmp_path) as of_store:
            yield Watched(
                config,
                sqlite_url,
                [health, node],
                lambda: of_platform.count("bottube.db"),
                lambda: of_platform.count("access.log"),
                lambda: of_store.count("store.db"),
            )


def visit(address: str, paths: list[str]) -> Counter[int]:
    """Ask for `paths` one after the other over one kept connection; count the answers' statuses."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    statuses: Counter[int] = Counter()
    for path in paths:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        assert b"BoTTube" in body or answer.status != 200
        statuses[answer.status] += 1
    connection.close()
    return statuses


def test_ten_thousand_page_views_ask_nothing_of_the_platform(watched: Watched) -> None:
    statuses: list[Counter[int]] = []
    with running(watched.config, "web") as web:
        address = web.page_url()
        # From here on whatever is asked of the platform is on behalf of a visitor.
        assert watched.asked() == {"connections": 0, "database": 0, "log": 0}
        opened_before = watched.store_opened()

        def be_a_visitor() -> None:
            paths = [PATHS[n % len(PATHS)] for n in range(VIEWS // VISITORS)]
            statuses.append(visit(address, paths))

        visitors = [threading.Thread(target=be_a_visitor) for _ in range(VISITORS)]
        began = time.monotonic()
        for visitor in visitors:
            visitor.start()
        ticks = 0
        while any(visitor.is_alive() for visitor in visitors):
            # Snapshots come meanwhile, so that the page is not only ever the same one.
            ticks += 1
            store(watched.store_url, full_document(this_tick_ms() + (ticks - 90) * INTERVAL_MS))
            visitors[ticks % VISITORS].join(0.5)
        took_s = time.monotonic() - began
        store_opened = watched.store_opened() - opened_before
        odd = visit(address, [*ODD_PATHS] * 50)
        assert web.process.poll() is None, web.log
    assert sum(statuses, Counter()) == {200: VIEWS}
    assert odd == {200: 100, 400: 50}
    assert watched.asked() == {"connections": 0, "database": 0, "log": 0}
    # Each look, and each snapshot that this test stores, opens the store and what belongs to it.
    assert 0 < store_opened <= 5 * (LOOKS_PER_S * took_s + ticks) < 3 * VIEWS
    # The counters do count: one tick of the daemon's asks all of the platform.
    assert run("--config", watched.config, "sample", "--dry-run").returncode == 0
    after = watched.asked()
    assert after["connections"] == 2
    assert after["database"] > 0
    assert after["log"] > 0


def test_the_web_process_loads_nothing_that_measures(tmp_path: Path, sqlite_url: str) -> None:
    store(sqlite_url, full_document(this_tick_ms()))
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{tmp_path}/not-there.db")
    config = write_config(tmp_path / "opsnap.toml", tree)
    process = subprocess.run(
        [sys.executable, "-c", LOADED_MODULES, str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=True,
    )
    statuses, modules = json.loads(process.stdout)
    assert statuses == [200, 200]
    packages = {module.partition(".")[0] for module in modules}
    assert {"web", "store", "config", "flask", "waitress", "sqlalchemy"} <= packages
    measuring = {"daemon", "requests", "urllib3", "apscheduler", "alembic", "migrations", "demo"}
    assert packages & measuring == set()
