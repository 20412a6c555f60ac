"""Fixtures over the real thing: stores brought up by the migrations, BoTTube's database, logs."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.filling import fill
from demo.tables import connect
from migrations.upgrading import upgrade
from tests.support.databases import PostgresServer

# A suite that runs in the background of a shell without job control has SIGINT ignored, and so
# would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for the whole session.

    Not under pytest's own folder, which each session that starts closes to all other users: run
    by root, the server is a user of its own.
    """
    with tempfile.TemporaryDirectory(prefix="opsnap-pg-", ignore_cleanup_errors=True) as directory:
        server = PostgresServer(Path(directory))
        yield server
        server.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a migrated store in SQLite."""
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated store, once in SQLite and once in PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/store.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    upgrade(url)
    return url


@pytest.fixture
def bottube_path(tmp_path: Path) -> Path:
    """The path of a platform's database in BoTTube's shape, filled, small."""
    path = tmp_path / "bottube.db"
    connection = connect(path)
    fill(connection, videos=200, impressions=2000, variant_events=900)
    connection.close()
    return path


@pytest.fixture
def log_line() -> Callable[..., str]:
    """A line in gunicorn's access format followed by %(D)s, as the platform writes it."""

    def line(
        path: str = "/api/feed",
        duration_us: int = 5000,
        status: int = 200,
        at: str = "20/Nov/2026:10:13:30 +0000",
    ) -> str:
        return (
            f'127.0.0.1 - - [{at}] "GET {path} HTTP/1.1" {status} 12 "-" "agent/1" {duration_us}\n'
        )

    return line
