"""What a store holds, read with plain SQL: not through the code that is tested."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool


@dataclass(frozen=True)
class Recorded:
    """A row of `snapshots`; its time in Unix milliseconds."""

    taken_at_ms: int
    text: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


@dataclass(frozen=True)
class Interval:
    """A row of `interval_histograms`, without its bytes."""

    taken_at_ms: int
    class_key: str
    count: int


def rows(url: str, sql: str) -> list[Any]:
    """Return what `sql` gives in the database at `url`, over a connection that is closed again."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return list(connection.execute(text(sql)))


def change(url: str, *statements: str) -> None:
    """Run `statements` in one transaction."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def recorded(url: str) -> list[Recorded]:
    """Return all snapshots, oldest first."""
    found = rows(url, "SELECT taken_at, document FROM snapshots ORDER BY taken_at")
    return [Recorded(row.taken_at, row.document) for row in found]


def intervals(url: str) -> list[Interval]:
    """Return the interval of every class of every snapshot, oldest first."""
    sql = "SELECT taken_at, class_key, count FROM interval_histograms ORDER BY taken_at, class_key"
    return [Interval(row.taken_at, row.class_key, row.count) for row in rows(url, sql)]
