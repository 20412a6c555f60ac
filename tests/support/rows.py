"""The platform's rows as plain dictionaries, and rows of one's own in its tables."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.tables import SCHEMA, connect

Row = dict[str, Any]


def rows_of(path: Path, table: str) -> list[Row]:
    """Return every row of `table`: what is computed from them is computed in Python."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    finally:
        connection.close()


def empty_platform(path: Path) -> Path:
    """Create the platform's tables without a row at `path`."""
    with writing(path) as connection:
        connection.executescript(SCHEMA)
    return path


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the platform's database the way the platform does."""
    connection = connect(path)
    try:
        yield connection
    finally:
        connection.close()


def insert(path: Path, table: str, *rows: Row) -> None:
    """Add `rows` to `table`; columns that a row does not name get their defaults."""
    with writing(path) as connection:
        for row in rows:
            columns, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values())
            )
