"""What `opsnap check` says of the record: its size, how far back it reaches, what is not done."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine

from config import Config
from daemon.size_limit import MB
from store.kept import kept_of
from store.reach import behind_ms, oldest_ms, shortened
from store.reading import newest_taken_at_ms
from store.size import size_of
from store.times import DAY_MS, HOUR_MS, MINUTE_MS, plain_utc

#: A period of 5 minutes is over, and there was time enough to roll it up.
_BEHIND_MS = 15 * MINUTE_MS


@dataclass(frozen=True)
class Remark:
    """What there is to say of `part`; `is_fine` when there is nothing to see to."""

    part: str
    is_fine: bool
    detail: str


def remarks(config: Config, engine: Engine) -> Iterator[Remark]:
    """Yield what is to be said of the record of `config`. Raises SQLAlchemy's errors."""
    source, retention = config.store.source, config.retention
    kept_ms = kept_of(retention)
    yield _size(engine, retention.max_mb)
    with engine.connect() as connection:
        newest_ms = newest_taken_at_ms(connection, source)
        if newest_ms is None:
            return
        short = shortened(connection, source, kept_ms)
        for tier, begin_ms in oldest_ms(connection, source).items():
            if begin_ms is not None:
                reach = f"from {plain_utc(begin_ms)} on: {_days(newest_ms - begin_ms)}"
                kept = kept_ms[tier]
                configured = "kept for ever" if kept is None else f"kept {_days(kept)}"
                why = ", shortened by max_mb" if tier in short and retention.max_mb else ""
                yield Remark(tier, not why, f"{reach}, {configured}{why}")
        late_ms = behind_ms(connection, source)
        if late_ms > _BEHIND_MS:
            late = f"{late_ms / HOUR_MS:.1f} h of snapshots wait for theirs: is the daemon running?"
            yield Remark("roll-ups", is_fine=False, detail=late)


def _size(engine: Engine, max_mb: int | None) -> Remark:
    size = size_of(engine)
    disk = f"{size.on_disk / MB:.1f} MB on disk"
    if size.in_use is None:
        return Remark("size", max_mb is None, f"{disk}; how much of it is in use is not known")
    limit = "" if max_mb is None else f", of at most {max_mb} MB"
    is_fine = max_mb is None or size.in_use <= max_mb * MB
    return Remark("size", is_fine, f"{size.in_use / MB:.1f} MB{limit}; {disk}")


def _days(ms: int) -> str:
    return f"{ms / DAY_MS:.1f} days"
