"""Snapshots as they are stored, whole or number by number; where they were thinned out, the rest.

Of old periods the store keeps the first document of each 5 minutes, later of each hour.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Connection,
    Engine,
    LargeBinary,
    Text,
    cast,
    exists,
    null,
    select,
    union_all,
)

from store.codec import decode
from store.export.pages import Column, ExportError, ExportTable, Page, Row, Wanted
from store.keeping import DamagedDocumentError, unpacked
from store.leaves import numeric_leaves
from store.tables import kept_snapshots, snapshots
from store.times import iso_utc

_PAGE_SNAPSHOTS = 500


class _Taken(NamedTuple):
    taken_at_ms: int
    text: str
    is_thinned: bool


def document_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield the documents of the period, a row a snapshot."""
    for taken in _taken(engine, wanted):
        rows: list[Row] = [(one.taken_at_ms, int(one.is_thinned), one.text) for one in taken]
        yield _page(taken, rows)


def number_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield every number that was measured in the period, a row each."""
    for taken in _taken(engine, wanted):
        rows = [row for one in taken for row in _numbers(one)]
        yield _page(taken, rows)


SNAPSHOTS = ExportTable(
    (Column("taken_at", "time"), Column("thinned", "integer"), Column("document", "text")),
    document_pages,
    document="document",
)
NUMBERS = ExportTable(
    (Column("taken_at", "time"), Column("path", "text"), Column("value", "number")), number_pages
)


def _page(taken: list[_Taken], rows: list[Row]) -> Page:
    thinned = [one.taken_at_ms for one in taken if one.is_thinned]
    return Page(
        rows,
        taken[0].taken_at_ms,
        taken[-1].taken_at_ms,
        len(taken),
        len(thinned),
        thinned[-1] if thinned else None,
    )


def _numbers(one: _Taken) -> Iterator[Row]:
    try:
        document = decode(one.text)
    except ValueError as error:
        raise _damaged(one.taken_at_ms) from error
    for path, value in numeric_leaves(document).items():
        yield one.taken_at_ms, path, value


def _taken(engine: Engine, wanted: Wanted) -> Iterator[list[_Taken]]:
    start_ms = wanted.period.start_ms
    while True:
        with engine.connect() as connection:
            found = connection.execute(_query(wanted, start_ms)).all()
            taken = [
                _Taken(row.taken_at, _text_of(connection, wanted, row), row.text is None)
                for row in found
            ]
        if not taken:
            return
        yield taken
        start_ms = taken[-1].taken_at_ms + 1


def _query(wanted: Wanted, start_ms: int) -> CompoundSelect[Any]:
    """Return the query of the next page: both tables at once, so that nothing falls between."""
    stored, kept = snapshots.c, kept_snapshots.c
    whole = select(
        stored.taken_at,
        stored.document.label("text"),
        cast(null(), BigInteger).label("based_on"),
        cast(null(), LargeBinary).label("document"),
    ).where(
        stored.source == wanted.source,
        stored.taken_at >= start_ms,
        stored.taken_at < wanted.period.end_ms,
    )
    is_there = exists().where(stored.source == kept.source, stored.taken_at == kept.taken_at)
    alone = select(kept.taken_at, cast(null(), Text), kept.based_on, kept.document).where(
        kept.source == wanted.source,
        kept.taken_at >= start_ms,
        kept.taken_at < wanted.period.end_ms,
        ~is_there,
    )
    return union_all(whole, alone).order_by("taken_at").limit(_PAGE_SNAPSHOTS)


def _text_of(connection: Connection, wanted: Wanted, row: Any) -> str:
    try:
        text: str = unpacked(connection, wanted.source, row) if row.text is None else row.text
    except DamagedDocumentError as error:
        raise _damaged(row.taken_at) from error
    return text


def _damaged(at_ms: int) -> ExportError:
    msg = f"the snapshot of {iso_utc(at_ms)} is damaged; export what is before and after it"
    return ExportError(msg)
