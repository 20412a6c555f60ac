"""A long past made in parts, side by side, and put together: the same as if made at once.

A part ends with the first snapshot of the next one, so that all its periods are complete and the
changes that this snapshot brought are told. It begins where a day does.
"""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from bench.year.copying import copy_part
from bench.year.filling import Kept, Past, Progress, fill, keep_up, kept_by, open_quick_writer
from bench.year.memory import keep_memory
from bench.year.snapshots import Year
from migrations.upgrading import upgrade
from store.forgetting import give_space_back
from store.times import DAY_MS

#: A part has some whole days, so that every tier has been made in it.
_LEAST_DAYS = 2
_PAGES = 1_000_000
_SPAWNING = get_context("spawn")


def fill_in_parts(url: str, past: Past, progress: Progress, *, workers: int) -> None:
    """Fill the empty store at `url`, which has the schema, with `past`, in `workers` processes.

    One of them is this one. It does what `fill` does, only sooner. Raises SQLAlchemy's errors, and
    RuntimeError when one of the other processes fails.
    """
    parts = _parts(past, workers)
    kept = kept_by(past.config)
    if len(parts) == 1:
        fill(url, past, progress, kept=kept)
        return
    year = Year(past.config, past.seed)
    firsts = [year.first_ms(part.start_ms) for part in parts]
    with _directory_for(url) as directory:
        urls = [f"sqlite:///{directory}/{number}.db" for number in range(len(parts) - 1)]
        early = [
            _SPAWNING.Process(
                target=_make,
                args=(
                    one,
                    # With the first snapshot of the part that follows.
                    replace(part, end_ms=first_ms + 1),
                    year.last_ms(part.start_ms) if part is not parts[0] else None,
                    _shortened(kept, past.end_ms - part.end_ms),
                    os.getpid(),
                ),
                daemon=True,
            )
            for one, part, first_ms in zip(urls, parts, firsts[1:], strict=False)
        ]
        for process in early:
            process.start()
        after_ms = year.last_ms(parts[-1].start_ms)
        fill(url, parts[-1], progress, after_ms=after_ms, kept=kept)
        for process in early:
            process.join()
            if process.exitcode:
                msg = f"a part was not made: its process ended with {process.exitcode}"
                raise RuntimeError(msg)
        engine = open_quick_writer(url)
        try:
            # What appears with the first snapshot of all has appeared indeed.
            since = [None, *firsts[1:-1]]
            for one, first_ms, next_ms in zip(urls, since, firsts[1:], strict=True):
                copy_part(one, engine, past.source, first_ms, next_ms)
            keep_up(engine, past.source, kept)
            give_space_back(engine, _PAGES)
        finally:
            engine.dispose()


def _parts(past: Past, most: int) -> list[Past]:
    """Return up to `most` parts of `past`, about equally long."""
    days = (past.end_ms - past.start_ms) // DAY_MS
    count = max(1, min(most, days // _LEAST_DAYS - 1))
    length_ms = (past.end_ms - past.start_ms) / count
    cuts = [
        round((past.start_ms + number * length_ms) / DAY_MS) * DAY_MS for number in range(1, count)
    ]
    return [
        replace(past, start_ms=start_ms, end_ms=end_ms)
        for start_ms, end_ms in pairwise([past.start_ms, *cuts, past.end_ms])
    ]


def _shortened(kept: Kept, older_ms: int) -> Mapping[str, int | None]:
    """Return how long a part that ends `older_ms` before the whole has to keep its tiers."""
    # A day more than that: what is left too much is forgotten in the end.
    return {
        tier: None if ms is None else max(0, ms - older_ms + DAY_MS) for tier, ms in kept.items()
    }


def _make(url: str, past: Past, after_ms: int | None, kept: Kept, parent: int) -> None:
    """Make a part in a process of its own, for as long as the `parent` is there."""

    def progress(_share: float) -> None:
        if os.getppid() != parent:
            sys.exit("the process that wanted this part is gone")

    keep_memory()
    upgrade(url)
    fill(url, past, progress, after_ms=after_ms, kept=kept)


def _directory_for(url: str) -> tempfile.TemporaryDirectory[str]:
    """Return a directory for the parts: beside a store in SQLite, where there is room for them."""
    if not url.startswith("sqlite:///"):
        return tempfile.TemporaryDirectory(prefix="opsnap-year-")
    path = Path(url.removeprefix("sqlite:///"))
    return tempfile.TemporaryDirectory(prefix=f"{path.name}-parts-", dir=path.parent)
