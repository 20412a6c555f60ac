"""Roll-ups of one tier that begin in a period, read through the views that others read too.

`snapshots` and `expected` of a row say what it stands on; they are unknown for the latency tiers
that have no numbers.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnClause, Engine, Select, Table, column, func, select, table

from store.export.intervals import REQUEST_COLUMNS
from store.export.pages import Column, ExportTable, Page, Wanted
from store.tables import rollup_latency, rollup_periods
from store.tiers import TIERS

#: How many periods of a tier one query reads: each has a row a number, or a row a class.
_PERIODS_OF_NUMBERS = 100
_PERIODS_OF_LATENCY = 1000
_STEPS_MS = {tier.name: tier.step_ms for tier in TIERS}


def value_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield what every number was in each period of the tier, by time and path."""
    query = _query("history_values", ROLLUPS.columns).order_by("starts_at", "path")
    yield from _pages(engine, wanted, query, rollup_periods, _PERIODS_OF_NUMBERS)


def latency_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield each period's requests by time and class."""
    query = _query("history_latency", LATENCY.columns).order_by("starts_at", "class")
    yield from _pages(engine, wanted, query, rollup_latency, _PERIODS_OF_LATENCY)


ROLLUPS = ExportTable(
    (
        Column("tier", "text"),
        Column("starts_at", "time"),
        Column("path", "text"),
        Column("snapshots", "integer"),
        Column("expected", "number"),
        Column("min", "number"),
        Column("mean", "number"),
        Column("max", "number"),
        Column("last", "number"),
    ),
    value_pages,
)
LATENCY = ExportTable(
    (
        Column("tier", "text"),
        Column("starts_at", "time"),
        Column("class", "text"),
        Column("snapshots", "integer"),
        Column("expected", "number"),
        *REQUEST_COLUMNS,
    ),
    latency_pages,
)


def _query(view: str, columns: tuple[Column, ...]) -> Select[Any]:
    named: list[ColumnClause[Any]] = [column(one.name) for one in columns]
    return select(*named).select_from(table(view))


def _pages(
    engine: Engine, wanted: Wanted, query: Select[Any], clock: Table, periods: int
) -> Iterator[Page]:
    """Read `query` window by window, from the first to the last time that `clock` has."""
    own = (clock.c.source == wanted.source, clock.c.tier == wanted.tier)
    starts_at = clock.c.starts_at
    within = (starts_at >= wanted.period.start_ms, starts_at < wanted.period.end_ms)
    with engine.connect() as connection:
        first_ms, last_ms = connection.execute(
            select(func.min(starts_at), func.max(starts_at)).where(*own, *within)
        ).one()
    if first_ms is None:
        return
    query = query.where(column("source") == wanted.source, column("tier") == wanted.tier)
    width_ms = periods * _STEPS_MS[wanted.tier]
    for start_ms in range(first_ms, last_ms + 1, width_ms):
        end_ms = min(start_ms + width_ms, last_ms + 1)
        in_window = (column("starts_at") >= start_ms, column("starts_at") < end_ms)
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(query.where(*in_window))]
        if rows:
            yield Page(rows, rows[0][1], rows[-1][1])
