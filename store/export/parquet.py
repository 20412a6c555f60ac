"""Apache Parquet, by pyarrow, which is installed with opsnap's extra `parquet` alone."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO

from store.export.pages import ExportTable, Kind, Page, Row

#: Rows of a row group: what a reader can skip, and what is held in memory.
_GROUP_ROWS = 100_000
_GROUP_DOCUMENTS = 5_000


def write(table: ExportTable, pages: Iterable[Page], sink: BinaryIO) -> None:
    """Write the rows in groups, times as timestamps of UTC in milliseconds."""
    # Imported here, for it is installed only where somebody wants it.
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    types: dict[Kind, Any] = {
        "time": arrow.timestamp("ms", tz="UTC"),
        "text": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in table.columns])
    most_rows = _GROUP_ROWS if table.document is None else _GROUP_DOCUMENTS
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _groups(pages, most_rows):
            arrays = [
                arrow.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def is_there() -> bool:
    """Say whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def _groups(pages: Iterable[Page], most_rows: int) -> Iterator[list[Row]]:
    gathered: list[Row] = []
    for page in pages:
        gathered += page.rows
        if len(gathered) >= most_rows:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
