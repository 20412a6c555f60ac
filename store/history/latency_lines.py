"""The requests of a period in the parts that it is put together from: lines of a `.hlog`."""

from collections.abc import Iterator

from sqlalchemy import Connection

from store.history.asking import Period
from store.history.cover import extent_of, pieces
from store.history.hdr_text import LogLine
from store.intervals import LatencyInterval
from store.rolled import latency_rows, merged_latency


def log_lines(
    connection: Connection, source: str, class_key: str, period: Period
) -> Iterator[LogLine]:
    """Yield the parts of `period`, which is widened already, in order of time.

    A row of a tier is a line; what is read from snapshots is one line for each stretch of them. A
    part in which the class was not observed has none, nor has one whose histogram is damaged: its
    requests are among the lost.
    """
    for piece in pieces(extent_of(connection, source), period):
        where = (connection, source, piece.tier, piece.start_ms, piece.end_ms, class_key)
        if piece.tier is None:
            for interval in merged_latency(*where).values():
                histogram = interval.histogram
                yield LogLine(piece.start_ms, piece.end_ms, histogram.encode(), histogram.max_us)
            continue
        for starts_at_ms, row in sorted(latency_rows(*where), key=lambda one: one[0]):
            if row["count"] and not LatencyInterval.of_columns(row).histogram.count:
                continue
            ends_at_ms = starts_at_ms + piece.tier.step_ms
            yield LogLine(starts_at_ms, ends_at_ms, bytes(row["histogram"]), row["max_us"])
