"""NDJSON (https://github.com/ndjson/ndjson-spec): a JSON object a line, UTF-8."""

import json
from collections.abc import Iterable
from typing import BinaryIO

from store.export.pages import ExportTable, Page
from store.times import iso_utc


def write(table: ExportTable, pages: Iterable[Page], sink: BinaryIO) -> None:
    """Write each row as an object, times in ISO 8601; a document as it was stored."""
    names = [column.name for column in table.columns]
    if table.document is not None:
        document = names.index(table.document)
        sink.writelines(f"{row[document]}\n".encode() for page in pages for row in page.rows)
        return
    is_time = [column.kind == "time" for column in table.columns]
    for page in pages:
        lines = []
        for row in page.rows:
            told = (
                iso_utc(value) if timely and value is not None else value
                for value, timely in zip(row, is_time, strict=True)
            )
            lines.append(_line(dict(zip(names, told, strict=True))))
        sink.write("".join(lines).encode())


def _line(row: dict[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
