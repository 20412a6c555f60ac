"""A small platform with opsnap's two real processes beside it: the daemon and the web app."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from demo.filling import fill
from demo.tables import connect
from migrations.upgrading import upgrade
from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import Running, running
from tests.support.servers import Behaviour, RawServer, healthy
from tests.support.waiting import wait_for

Document = dict[str, Any]


class Switchable:
    """A server's behaviour that a test replaces while the server runs."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.now = behaviour

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        self.now(connection, stop)


class WatchedPlatform:
    """The platform's database, log, nodes and traffic, and the processes that watch it.

    `change` alters the configuration's tree before it is written. Nothing runs before `start`;
    `stop` ends all of it.
    """

    def __init__(
        self,
        directory: Path,
        change: Callable[[dict[str, Any]], None] = lambda _tree: None,
        *,
        nodes: int = 2,
        interval_s: int = 1,
    ) -> None:
        self.database = directory / "bottube.db"
        self.log = directory / "access.log"
        self.health = Switchable(healthy())
        self.node_behaviours = [Switchable(healthy()) for _ in range(nodes)]
        self._stack = ExitStack()
        self._port = _free_port()
        self._processes: dict[str, Running] = {}
        self._is_over = threading.Event()
        self._traffic = threading.Thread(target=self._write_traffic, daemon=True)
        health, *urls = [
            self._stack.enter_context(RawServer(behaviour)).url
            for behaviour in (self.health, *self.node_behaviours)
        ]
        tree = bottube_tree(
            store_url=f"sqlite:///{directory}/store.db",
            observed_url=f"sqlite:///{self.database}",
            log_path=self.log,
            node_urls=tuple(urls),
            health_url=health,
            interval_s=interval_s,
        )
        tree["web"]["port"] = self._port
        change(tree)
        self._store_url = tree["store"]["url"]
        self._config = write_config(directory / "opsnap.toml", tree)

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self._port}/engineering"

    def start(self) -> None:
        """Return once the page has its first snapshot."""
        with closing(connect(self.database)) as connection:
            fill(connection, videos=200, impressions=2000, variant_events=900)
        self.log_requests([5_000] * 40)
        self.log_requests([21_500_000] * 5, path="/admin/backfill")
        self._traffic.start()
        upgrade(self._store_url)
        self.start_both()

    def stop(self) -> None:
        self._is_over.set()
        if self._traffic.ident is not None:
            self._traffic.join()
        self._stack.close()

    def start_both(self) -> None:
        """Start what does not run of the daemon and the web app; return once both work."""
        for name in ("daemon", "web"):
            if name not in self._processes:
                self.start_one(name)
        wait_for(self._is_ready, "a page with a fresh snapshot", timeout_s=40)

    def start_one(self, name: str) -> None:
        """Start the daemon or the web app without waiting for it."""
        self._processes[name] = self._stack.enter_context(running(self._config, name))

    def kill(self, name: str) -> None:
        """End the daemon or the web app as a power cut would."""
        self._processes.pop(name).kill()

    def document(self, at: str | None = None) -> Document:
        """Return the newest document, or the one of the moment `at`, through the API."""
        query = "" if at is None else f"?at={at}"
        address = self.page.replace("/engineering", f"/api/engineering{query}")
        with urlopen(address, timeout=10) as answer:
            document: Document = json.load(answer)
        return document

    def wait_for_document(self, is_meant: Callable[[Document], bool], what: str) -> Document:
        """Return the first document that `is_meant`."""

        def find() -> Document | None:
            document = self.document()
            return document if is_meant(document) else None

        return wait_for(find, what)

    def query(self, sql: str, *values: object) -> list[Any]:
        """Run one statement in the platform's database, as the platform itself."""
        with closing(connect(self.database)) as connection:
            return connection.execute(sql, values).fetchall()

    def insert(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        """Insert `rows` in one transaction."""
        with closing(sqlite3.connect(self.database, timeout=5)) as connection, connection:
            connection.executemany(sql, rows)

    def log_requests(self, durations_us: list[int], path: str = "/api/feed") -> None:
        """Append requests that end now to the access log, in gunicorn's format."""
        now = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        lines = (
            f'127.0.0.1 - - [{now}] "GET {path} HTTP/1.1" 200 12 "-" "agent/1" {duration_us}\n'
            for duration_us in durations_us
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write("".join(lines))

    def _write_traffic(self) -> None:
        while not self._is_over.wait(0.2):
            if self.log.exists():
                self.log_requests([5_000])

    def _is_ready(self) -> bool:
        for name, one in self._processes.items():
            assert one.process.poll() is None, f"{name} ended:\n{one.log[-2000:]}"
        try:
            with urlopen(self.page.replace("/engineering", "/readyz"), timeout=5):
                return True
        except OSError:
            return False


def has_expired(document: Document) -> bool:
    return datetime.fromisoformat(document["expires_at"]) < datetime.now(UTC)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
