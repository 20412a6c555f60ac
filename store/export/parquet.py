"""Apache Parquet, by pyarrow, which is installed with opsnap's extra `parquet` alone."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, BinaryIO

from store.export.pages import ExportTable, Kind, Page, Row

#: Rows of a row group: what a reader can skip, and what is held in memory.
_GROUP_ROWS = 100_000


class ParquetMissingError(Exception):
    """pyarrow is not installed; the text says how to get it."""


def write(table: ExportTable, pages: Iterable[Page], sink: BinaryIO) -> None:
    """Write the rows in groups, times as timestamps of UTC in milliseconds.

    Raises ParquetMissingError.
    """
    arrow, parquet = _pyarrow()
    types: dict[Kind, Any] = {
        "time": arrow.timestamp("ms", tz="UTC"),
        "text": arrow.string(),
        "integer": arrow.int64(),
        "number": arrow.float64(),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in table.columns])
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in _groups(pages):
            arrays = [
                arrow.array(values, type=field.type)
                for values, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def require() -> None:
    """Raise ParquetMissingError when there is no pyarrow, before anything is read."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        msg = "parquet needs pyarrow, which is not installed: pip install 'opsnap[parquet]'"
        raise ParquetMissingError(msg) from error


def _groups(pages: Iterable[Page]) -> Iterator[list[Row]]:
    gathered: list[Row] = []
    for page in pages:
        gathered += page.rows
        if len(gathered) >= _GROUP_ROWS:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
