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

TABLES: dict[str, ExportTable] = {
    "snapshots": SNAPSHOTS,
    "numbers": NUMBERS,
    "rollups": ROLLUPS,
    "intervals": INTERVALS,
    "latency": LATENCY,
    "changes": CHANGES,
}
FORMATS: dict[str, Callable[[ExportTable, Iterable[Page], BinaryIO], None]] = {
    "ndjson": ndjson.write,
    "csv": csv_rows.write,
    "parquet": parquet.write,
}


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


def export(
    engine: Engine,
    table: str,
    wanted: Wanted,
    file_format: str,
    sink: BinaryIO,
    on_page: Callable[[Exported], None],
) -> Exported:
    """Write what is `wanted` of `table` to `sink`, and return what it was.

    `on_page` is called after each page with what was written so far. Raises ExportError,
    ParquetMissingError, OSError and SQLAlchemy's errors; then `sink` has a part.
    """
    exported = Exported()
    chosen = TABLES[table]

    def counted() -> Iterator[Page]:
        for page in chosen.pages(engine, wanted):
            exported.add(page)
            yield page
            on_page(exported)

    FORMATS[file_format](chosen, counted(), sink)
    return exported
