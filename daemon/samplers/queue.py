"""The generation queue: jobs by their status, how deep, and how long the oldest has waited."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select

from config import Config
from config.panels import Queue
from daemon.failures import SampleError
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler
from daemon.samplers.tables import named_table
from daemon.samplers.time_columns import time_before_now, time_column, unix_seconds

_KEYS = (
    "queued",
    "running",
    "completed_24h",
    "failed_24h",
    "depth",
    "depth_label",
    "depth_percentile",
    "oldest_queued_s",
)
#: Depths from which the label applies, deepest first.
_LABELS = ((20, "deep"), (5, "moderate"), (1, "shallow"), (0, "idle"))


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `queue`. `depth_percentile` is left to who knows history."""
    empty: dict[str, Any] = {"queue": dict.fromkeys(_KEYS)}
    queue = config.queue
    if queue is None or database is None or config.observed is None:
        return Sampler("queue", empty, None)
    times = config.observed.times

    def sample() -> Mapping[str, Reading]:
        with database.connect() as connection:
            values = _read(connection, queue, times)
        age_s = values["oldest_queued_s"]
        if age_s is not None and age_s < 0:
            # A job from the future: its table or a clock is wrong, and its age is not known.
            failure = SampleError("bad_value", "the oldest queued job is from the future")
            values["oldest_queued_s"] = None
            return {"queue": Reading(values, {"oldest_queued_s": failure})}
        return {"queue": Reading(values)}

    return Sampler("queue", empty, sample)


def depth_label(depth: int) -> str:
    """Return the word for a queue `depth` jobs deep."""
    return next(word for least, word in _LABELS if depth >= least)


def _read(connection: Connection, queue: Queue, times: str) -> dict[str, Any]:
    by_status = {row.status: row for row in connection.execute(_waiting(queue, times))}
    ended = {row.status: row.jobs for row in connection.execute(_ended(queue, times))}
    queued = sum(by_status[s].jobs for s in queue.queued if s in by_status)
    running = sum(by_status[s].jobs for s in queue.running if s in by_status)
    oldest = [by_status[s].oldest for s in queue.queued if s in by_status]
    return {
        "queued": queued,
        "running": running,
        "completed_24h": sum(ended.get(s, 0) for s in queue.completed),
        "failed_24h": sum(ended.get(s, 0) for s in queue.failed),
        "depth": queued + running,
        "depth_label": depth_label(queued + running),
        "depth_percentile": None,
        "oldest_queued_s": _age_s([one for one in oldest if one is not None], times),
    }


def _waiting(queue: Queue, times: str) -> Select[Any]:
    jobs = named_table(queue.table, queue.status_column, time_column(queue.created_column, times))
    status = jobs.c[queue.status_column]
    return (
        select(
            status.label("status"),
            func.count().label("jobs"),
            func.min(jobs.c[queue.created_column]).label("oldest"),
        )
        .where(status.in_([*queue.queued, *queue.running]))
        .group_by(status)
    )


def _ended(queue: Queue, times: str) -> Select[Any]:
    jobs = named_table(queue.table, queue.status_column, time_column(queue.finished_column, times))
    status = jobs.c[queue.status_column]
    return (
        select(status.label("status"), func.count().label("jobs"))
        .where(status.in_([*queue.completed, *queue.failed]))
        .where(jobs.c[queue.finished_column] >= time_before_now(1, times))
        .group_by(status)
    )


def _age_s(created: list[Any], times: str) -> float | None:
    if not created:
        return None
    return round(time.time() - min(unix_seconds(value, times) for value in created), 1)
