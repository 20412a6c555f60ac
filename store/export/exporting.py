"""An export: one table of one period, in one format, into one stream."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy import Engine

from store.export import csv_rows, ndjson, parquet
from store.export.changes import CHANGES
from store.export.intervals import INTERVALS
from store.export.pages import ExportTable, Page, Wanted
from store.export.rolled_up import LATENCY, ROLLUPS
from store.export.snapshots import NUMBERS, SNAPSHOTS
from store.history.asking import Period, QueryError
from store.tiers import FIVE_MINUTES, TIERS

_TABLES: dict[str, ExportTable] = {
    "snapshots": SNAPSHOTS,
    "numbers": NUMBERS,
    "rollups": ROLLUPS,
    "intervals": INTERVALS,
    "latency": LATENCY,
    "changes": CHANGES,
}
_WRITERS: dict[str, Callable[[ExportTable, Iterable[Page], BinaryIO], None]] = {
    "ndjson": ndjson.write,
    "csv": csv_rows.write,
    "parquet": parquet.write,
}
#: The tiers of the tables that have some.
_TIERS = {
    "rollups": tuple(tier.name for tier in TIERS if tier.has_values),
    "latency": tuple(tier.name for tier in TIERS),
}


@dataclass(frozen=True)
class Plan:
    """What to export, known to be possible."""

    table: str
    wanted: Wanted
    file_format: str


@dataclass
class Exported:
    """What an export has held so far. Times in Unix ms, None while there is nothing.

    `thinned` counts the snapshots that stand alone for their 5 minutes or their hour, of which
    the last was taken at `last_thinned_ms`.
    """

    rows: int = 0
    snapshots: int = 0
    thinned: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    last_thinned_ms: int | None = None

    def add(self, page: Page) -> None:
        """Count `page`."""
        self.rows += len(page.rows)
        self.snapshots += page.snapshots
        self.thinned += page.thinned
        self.first_ms = page.first_ms if self.first_ms is None else self.first_ms
        self.last_ms = page.last_ms
        if page.last_thinned_ms is not None:
            self.last_thinned_ms = page.last_thinned_ms


def plan(
    source: str, period: Period, file_format: str, table: str | None, tier: str | None
) -> Plan:
    """Return the plan of an export; by default of documents as ndjson, else of numbers.

    Raises QueryError when there is no such tier, or no pyarrow for parquet.
    """
    if table is None:
        table = "snapshots" if file_format == "ndjson" else "numbers"
    if tier is not None and tier not in _TIERS.get(table, ()):
        told = ", ".join(f"{' or '.join(tiers)} of {name}" for name, tiers in _TIERS.items())
        raise QueryError("tier", f"expected {told}")
    if file_format == "parquet" and not parquet.is_there():
        expected = "parquet needs pyarrow: install opsnap with its extra parquet, or pyarrow alone"
        raise QueryError("format", expected)
    return Plan(table, Wanted(source, period, tier or FIVE_MINUTES.name), file_format)


def carry_out(
    engine: Engine, plan: Plan, sink: BinaryIO, on_page: Callable[[Exported], None]
) -> Exported:
    """Write what is planned to `sink`, and return what it was.

    `on_page` is called after each page with what was written so far. Raises ExportError, OSError
    and SQLAlchemy's errors; then `sink` has a part.
    """
    exported = Exported()
    table = _TABLES[plan.table]

    def counted() -> Iterator[Page]:
        for page in table.pages(engine, plan.wanted):
            exported.add(page)
            yield page
            on_page(exported)

    _WRITERS[plan.file_format](table, counted(), sink)
    sink.flush()
    return exported
