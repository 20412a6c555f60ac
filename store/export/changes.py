"""Changes of status, a row each: what a node or a section was, and what it became."""

from collections.abc import Iterator

from sqlalchemy import Engine, select, tuple_

from store.export.pages import Column, ExportTable, Page, Wanted
from store.tables import status_changes

_PAGE_ROWS = 5000


def change_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield the changes of the period by time, kind and name."""
    table = status_changes.c
    key = tuple_(table.taken_at, table.kind, table.name)
    query = (
        select(*(table[column.name] for column in CHANGES.columns))
        .where(table.source == wanted.source, table.taken_at < wanted.period.end_ms)
        .order_by(table.taken_at, table.kind, table.name)
        .limit(_PAGE_ROWS)
    )
    after: tuple[int, str, str] = (wanted.period.start_ms, "", "")
    while True:
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(query.where(key > after))]
        if not rows:
            return
        yield Page(rows, rows[0][0], rows[-1][0])
        after = rows[-1][:3]


CHANGES = ExportTable(
    (
        Column("taken_at", "time"),
        Column("kind", "text"),
        Column("name", "text"),
        Column("from_status", "text"),
        Column("to_status", "text"),
        Column("reason", "text"),
        Column("previous_at", "time"),
    ),
    change_pages,
)
