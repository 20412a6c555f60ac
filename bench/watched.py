"""The platform that is watched in every figure: BoTTube's shape, 300,000 impressions."""

import itertools
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.processes import free_port, require_alive, running
from demo.filling import fill
from demo.tables import connect
from migrations.upgrading import upgrade
from tests.support.configuring import bottube_tree, write_config

IMPRESSIONS = 300_000
_FIRST_LINES = 20_000
_START_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Watched:
    """A platform with its nodes running, and opsnap's configuration for it."""

    directory: Path
    config_path: Path
    store_path: Path
    access_log: Path
    page_port: int


@contextmanager
def watched(
    directory: Path, name: str, *, interval_s: int, plain: int = 2, tls: int = 2, silent: int = 0
) -> Iterator[Watched]:
    """Start the nodes, and write an access log and a configuration with an empty store.

    `directory` holds the platform's database, which is made once and shared by all figures.
    """
    database = directory / "bottube.db"
    if not database.exists():
        connection = connect(database)
        fill(connection, impressions=IMPRESSIONS)
        connection.close()
    own = directory / name
    own.mkdir()
    log = own / "nodes.log"
    counts = (str(plain), str(tls), str(silent))
    with running(log, "bench.node_servers", str(own), *counts) as nodes:
        ends = time.monotonic() + _START_PATIENCE_S
        while not log.read_text().endswith("\n") and time.monotonic() < ends:
            require_alive(nodes, log)
            time.sleep(0.02)
        addresses: list[str] = json.loads(log.read_text())
        yield _configured(own, database, addresses, interval_s)


def _configured(own: Path, database: Path, addresses: list[str], interval_s: int) -> Watched:
    access_log, store, port = own / "access.log", own / "store.db", free_port()
    write_requests(access_log, _FIRST_LINES)
    upgrade(f"sqlite:///{store}")
    tree = bottube_tree(
        store_url=f"sqlite:///{store}",
        observed_url=f"sqlite:///{database}",
        log_path=access_log,
        node_urls=tuple(addresses),
        health_url=addresses[0],
        interval_s=interval_s,
    )
    for node in tree["nodes"]:
        if node["url"].startswith("https:"):
            node["ca_file"] = str(own / "node-authority.pem")
    tree["web"]["port"] = port
    config_path = write_config(own / "opsnap.toml", tree)
    return Watched(own, config_path, store, access_log, port)


def write_requests(access_log: Path, count: int) -> None:
    """Append `count` requests that ended now to the log, one in fifty of them administration."""
    dice, now = random.Random(count), datetime.now(UTC)
    at = now.strftime("%d/%b/%Y:%H:%M:%S +0000")
    paths = itertools.cycle(["/admin/backfill", *["/api/feed", "/watch/abc", "/", "/api/v"] * 12])
    with access_log.open("a") as log:
        log.writelines(
            f'127.0.0.1 - - [{at}] "GET {path} HTTP/1.1" 200 512 "-" "visitor/1" '
            f"{int(dice.lognormvariate(15 if path.startswith('/admin') else 9, 1))}\n"
            for path in itertools.islice(paths, count)
        )
