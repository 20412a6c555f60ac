"""What an export is made of: pages, each read by a query that is short, however long the export.

So the store is never held for long, and memory holds one page. A page is one statement, which sees
one state of the store; between two pages snapshots are added and thinned out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from sqlalchemy import Engine

from store.history.asking import Period

#: Values by the order of a table's columns; times as Unix milliseconds, None where unknown.
Row = tuple[Any, ...]
Kind = Literal["time", "text", "integer", "number"]


class Column(NamedTuple):
    """A column's name, and what its values are: `number` is a float, `time` in Unix ms."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Page:
    """Some rows, in order, and of how many snapshots they are.

    `thinned` counts those that stand alone for their 5 minutes or their hour, the others being
    deleted; `last_thinned_ms` is when the last of them was taken (Unix ms).
    """

    rows: list[Row]
    first_ms: int
    last_ms: int
    snapshots: int = 0
    thinned: int = 0
    last_thinned_ms: int | None = None


@dataclass(frozen=True)
class Wanted:
    """Whose record, which period, and which tier where a table has several."""

    source: str
    period: Period
    tier: str


class Pages(Protocol):
    """Reads one table's part of the record, page by page, the oldest first."""

    def __call__(self, engine: Engine, wanted: Wanted) -> Iterator[Page]:
        """Yield pages, none of them empty. Raises SQLAlchemy's errors."""


@dataclass(frozen=True)
class ExportTable:
    """What can be exported. `document` is the column that is a JSON object by itself."""

    columns: tuple[Column, ...]
    pages: Pages
    document: str | None = None


class ExportError(Exception):
    """The record holds something that cannot be exported; the text says what, and what to do."""
