"""Making roll-ups: complete periods alone, one transaction a period, each once.

A period is complete when what it is made of is: snapshots come in order, so theirs is with the
first one taken at or after its end. How far a tier has been made is moved in the period's own
transaction, so a roll-up that was interrupted is simply made again.
"""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update

from store.codec import decode_if_sound, interval_ms_of
from store.keeping import keep
from store.leaves import numeric_leaves
from store.reading import newest_taken_at_ms
from store.rolled import insert_latency, insert_values, merged_latency, summaries_of
from store.summaries import Summary
from store.tables import rollup_periods, rollup_progress, snapshots
from store.tiers import TIERS, Tier


def roll_up(engine: Engine, source: str, most_periods: int) -> int:
    """Make up to `most_periods` periods that are complete and not made yet; return how many.

    Raises SQLAlchemy's errors; what was made until then stays.
    """
    made = 0
    for tier in TIERS:
        while made < most_periods:
            with engine.begin() as connection:
                if not _make_next(connection, source, tier):
                    break
            made += 1
    return made


def progress_of(connection: Connection, source: str) -> dict[str, int]:
    """Return until when each tier has been made (Unix ms), by its name."""
    rows = connection.execute(
        select(rollup_progress.c.tier, rollup_progress.c.until).where(
            rollup_progress.c.source == source
        )
    )
    return {row.tier: row.until for row in rows}


def _make_next(connection: Connection, source: str, tier: Tier) -> bool:
    """Make the tier's next period that has a snapshot; say whether there was one."""
    progress = progress_of(connection, source)
    first_ms = _first_left(connection, source, tier, progress)
    if first_ms is None:
        return False
    starts_at_ms = tier.start_of(first_ms)
    ends_at_ms = starts_at_ms + tier.step_ms
    if ends_at_ms > _complete_until(connection, source, tier.made_of, progress):
        return False
    period = {"source": source, "tier": tier.name, "starts_at": starts_at_ms}
    if tier.made_of is None:
        _make_of_snapshots(connection, period, ends_at_ms)
    elif tier.has_values:
        _make_of_periods(connection, period, tier.made_of, ends_at_ms)
    intervals = merged_latency(connection, source, tier.made_of, starts_at_ms, ends_at_ms)
    insert_latency(connection, period, intervals, with_histogram=tier.has_values)
    _move_progress(connection, source, tier, ends_at_ms)
    return True


def _first_left(
    connection: Connection, source: str, tier: Tier, progress: dict[str, int]
) -> int | None:
    """Return the first time (Unix ms) of what `tier` is made of that it does not have yet."""
    time, own = snapshots.c.taken_at, [snapshots.c.source == source]
    if tier.made_of is not None:
        time = rollup_periods.c.starts_at
        own = [rollup_periods.c.source == source, rollup_periods.c.tier == tier.made_of.name]
    first_ms: int | None = connection.scalar(
        select(func.min(time)).where(*own, time >= progress.get(tier.name, 0))
    )
    return first_ms


def _complete_until(
    connection: Connection, source: str, tier: Tier | None, progress: dict[str, int]
) -> int:
    """Return until when nothing is missing in `tier`, None for the snapshots (Unix ms)."""
    if tier is None:
        return newest_taken_at_ms(connection, source) or 0
    first_ms = _first_left(connection, source, tier, progress)
    if first_ms is not None:
        return tier.start_of(first_ms)
    return _complete_until(connection, source, tier.made_of, progress)


def _make_of_snapshots(connection: Connection, period: dict[str, Any], ends_at_ms: int) -> None:
    taken = connection.execute(
        select(snapshots.c.taken_at, snapshots.c.document)
        .where(
            snapshots.c.source == period["source"],
            snapshots.c.taken_at >= period["starts_at"],
            snapshots.c.taken_at < ends_at_ms,
        )
        .order_by(snapshots.c.taken_at)
    ).all()
    values: dict[str, list[float]] = {}
    documents = [decode_if_sound(row.document) for row in taken]
    for document in documents:
        for path, value in numeric_leaves(document).items():
            values.setdefault(path, []).append(value)
    interval_ms = interval_ms_of(*reversed(documents))
    expected = (ends_at_ms - period["starts_at"]) / interval_ms
    connection.execute(
        insert(rollup_periods).values(**period, snapshots=len(taken), expected=expected)
    )
    _keep_answering(connection, period["source"], taken, ends_at_ms)
    insert_values(connection, period, {path: Summary.of(some) for path, some in values.items()})


def _keep_answering(
    connection: Connection, source: str, taken: Sequence[Any], ends_at_ms: int
) -> None:
    """Keep the first of a period's snapshots, and the last unless the next period begins with one.

    Whoever asks for the moment at which that begins is answered with the last one before it.
    """
    keep(connection, source, taken[0].taken_at, taken[0].document)
    at_its_end = select(snapshots.c.taken_at).where(
        snapshots.c.source == source, snapshots.c.taken_at == ends_at_ms
    )
    if len(taken) > 1 and connection.scalar(at_its_end) is None:
        keep(connection, source, taken[-1].taken_at, taken[-1].document)


def _make_of_periods(
    connection: Connection, period: dict[str, Any], finer: Tier, ends_at_ms: int
) -> None:
    parts = connection.execute(
        select(rollup_periods.c.snapshots, rollup_periods.c.expected).where(
            rollup_periods.c.source == period["source"],
            rollup_periods.c.tier == finer.name,
            rollup_periods.c.starts_at >= period["starts_at"],
            rollup_periods.c.starts_at < ends_at_ms,
        )
    ).all()
    counts, expected = zip(*parts, strict=True)
    # A part without a snapshot has no row; the interval can have been changed between the others.
    missing = (ends_at_ms - period["starts_at"]) // finer.step_ms - len(parts)
    in_all = math.fsum([*expected, *[max(expected)] * missing])
    connection.execute(
        insert(rollup_periods).values(**period, snapshots=sum(counts), expected=in_all)
    )
    found = summaries_of(connection, period["source"], finer, period["starts_at"], ends_at_ms)
    insert_values(connection, period, {path: Summary.merged(some) for path, some in found.items()})


def _move_progress(connection: Connection, source: str, tier: Tier, until_ms: int) -> None:
    moved = connection.execute(
        update(rollup_progress)
        .where(rollup_progress.c.source == source, rollup_progress.c.tier == tier.name)
        .values(until=until_ms)
    )
    if not moved.rowcount:
        row = {"source": source, "tier": tier.name, "until": until_ms}
        connection.execute(insert(rollup_progress).values(**row))
