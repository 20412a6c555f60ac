"""The requests that each snapshot recorded, a row a class, with their percentiles."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, select, tuple_

from store.export.pages import Column, ExportError, ExportTable, Page, Row, Wanted
from store.histograms import DamagedHistogramError, LatencyHistogram
from store.rolled import PERCENTILES
from store.tables import interval_histograms
from store.times import iso_utc

_PAGE_ROWS = 500
#: What is told of some requests, of an interval or of a roll-up.
REQUEST_COLUMNS = (
    Column("requests", "integer"),
    Column("errors", "integer"),
    Column("lost", "integer"),
    Column("clamped", "integer"),
    *(
        Column(f"{name}_ms", "number")
        for name in ("min", *(name.removesuffix("_us") for name in PERCENTILES), "max")
    ),
)


def interval_pages(engine: Engine, wanted: Wanted) -> Iterator[Page]:
    """Yield the intervals of the period's snapshots by time and class."""
    table = interval_histograms.c
    key = tuple_(table.taken_at, table.class_key)
    query = (
        select(interval_histograms)
        .where(table.source == wanted.source, table.taken_at < wanted.period.end_ms)
        .order_by(table.taken_at, table.class_key)
        .limit(_PAGE_ROWS)
    )
    after: tuple[int, str] = (wanted.period.start_ms, "")
    while True:
        with engine.connect() as connection:
            found = connection.execute(query.where(key > after)).mappings().all()
        if not found:
            return
        yield Page([_row(dict(one)) for one in found], found[0]["taken_at"], found[-1]["taken_at"])
        after = found[-1]["taken_at"], found[-1]["class_key"]


INTERVALS = ExportTable(
    (
        Column("taken_at", "time"),
        Column("class", "text"),
        *REQUEST_COLUMNS,
        Column("unparsed", "integer"),
        Column("log_lines", "integer"),
        Column("oldest_at", "time"),
        Column("newest_at", "time"),
    ),
    interval_pages,
)


def _row(found: dict[str, Any]) -> Row:
    exact = {name: found[name] for name in ("errors", "clamped", "min_us", "max_us")}
    try:
        histogram = LatencyHistogram.decode(found["histogram"], **exact)
    except DamagedHistogramError as error:
        msg = (
            f"the histogram of {found['class_key']} of {iso_utc(found['taken_at'])} is damaged;"
            " export what is before and after it"
        )
        raise ExportError(msg) from error
    percentiles_us = histogram.percentiles_us(PERCENTILES.values())
    durations_us = (found["min_us"], *percentiles_us, found["max_us"])
    return (
        found["taken_at"],
        found["class_key"],
        *(found[name] for name in ("count", "errors", "lost", "clamped")),
        *(None if us is None else us / 1000 for us in durations_us),
        *(found[name] for name in ("unparsed", "log_lines", "oldest_at", "newest_at")),
    )
