"""CSV (RFC 4180) with a line of names; times in ISO 8601, what is unknown is empty."""

import csv
import io
from collections.abc import Iterable
from typing import BinaryIO

from store.export.pages import ExportTable, Page
from store.times import iso_utc


def write(table: ExportTable, pages: Iterable[Page], sink: BinaryIO) -> None:
    """Write the names of the columns, then each row."""
    times = [place for place, column in enumerate(table.columns) if column.kind == "time"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.name for column in table.columns)
    for page in pages:
        for row in page.rows:
            told = list(row)
            for place in times:
                if told[place] is not None:
                    told[place] = iso_utc(told[place])
            writer.writerow(told)
        _hand_on(text, sink)
    _hand_on(text, sink)


def _hand_on(text: io.StringIO, sink: BinaryIO) -> None:
    sink.write(text.getvalue().encode())
    text.seek(0)
    text.truncate()
