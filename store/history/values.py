"""What numbers were, row by row, from whatever tiers a period is put together from."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from store.codec import decode_if_sound
from store.history.cover import Extent, Piece
from store.history.observed import observed_in
from store.leaves import numeric_leaves
from store.rolled import metric_numbers
from store.summaries import Summary
from store.tables import rollup_values, snapshots
from store.tiers import Tier


class Value(NamedTuple):
    """What the number `path` was from `at_ms` on; each of its snapshots stands for `ms_each`."""

    path: str
    at_ms: int
    ms_each: float
    summary: Summary


def values_in(
    connection: Connection,
    source: str,
    extent: Extent,
    pieces: Iterable[Piece],
    paths: Sequence[str],
) -> Iterator[Value]:
    """Yield what the numbers at `paths` were in `pieces`, each number's in order of time."""
    numbers = metric_numbers(connection, source)
    wanted = {numbers[path]: path for path in paths if path in numbers}
    for piece in pieces:
        if piece.tier is None:
            yield from _of_snapshots(connection, source, extent, piece, paths)
        elif wanted:
            yield from _of_periods(connection, source, extent, piece, piece.tier, wanted)


def _of_periods(
    connection: Connection,
    source: str,
    extent: Extent,
    piece: Piece,
    tier: Tier,
    wanted: dict[int, str],
) -> Iterator[Value]:
    ms_each = {
        one.starts_at_ms: one.ms_each for one in observed_in(connection, source, extent, [piece])
    }
    row = rollup_values.c
    found = connection.execute(
        select(row.metric, row.starts_at, row.count, row.min, row.max)
        .add_columns(row.total, row.total_rest, row.last)
        .where(row.tier == tier.name, row.metric.in_(sorted(wanted)))
        .where(row.starts_at >= piece.start_ms, row.starts_at < piece.end_ms)
        .order_by(row.metric, row.starts_at)
    )
    for metric, starts_at_ms, *summary in found:
        yield Value(wanted[metric], starts_at_ms, ms_each[starts_at_ms], Summary(*summary))


def _of_snapshots(
    connection: Connection, source: str, extent: Extent, piece: Piece, paths: Sequence[str]
) -> Iterator[Value]:
    found = connection.execute(
        select(snapshots.c.taken_at, snapshots.c.document)
        .where(snapshots.c.source == source)
        .where(snapshots.c.taken_at >= piece.start_ms, snapshots.c.taken_at < piece.end_ms)
        .order_by(snapshots.c.taken_at)
    )
    each = {
        one.starts_at_ms: one.ms_each for one in observed_in(connection, source, extent, [piece])
    }
    for taken_at_ms, document in found:
        leaves = numeric_leaves(decode_if_sound(document))
        for path in paths:
            if path in leaves:
                summary = Summary.of([leaves[path]])
                yield Value(path, taken_at_ms, each.get(taken_at_ms, extent.interval_ms), summary)
