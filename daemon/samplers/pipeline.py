"""The media pipeline: its format, its counters, and how long an encode takes on average."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from config import Config
from config.panels import Encode
from daemon.failures import SampleError
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler, partial_reading
from daemon.samplers.counting import count_each
from daemon.samplers.tables import named_table
from daemon.samplers.time_columns import time_before_now, time_column, unix_seconds

_MOST_JOBS = 100_000
_HOURS_PER_DAY = 24


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `pipeline`."""
    pipeline = config.pipeline
    statements = dict(pipeline.counts) if pipeline else {}
    canonical_format = (pipeline.canonical_format or None) if pipeline else None
    empty: dict[str, Any] = {
        "canonical_format": canonical_format,
        **dict.fromkeys(statements),
        "avg_encode_s": None,
        "encode_jobs": None,
    }
    if pipeline is None or database is None or config.observed is None:
        return Sampler("pipeline", {"pipeline": empty}, None)
    encode, times = pipeline.encode, config.observed.times

    def sample() -> Mapping[str, Reading]:
        numbers, failures = count_each(database, statements)
        measured: dict[str, Any] = dict(numbers)
        if encode is not None:
            try:
                measured |= _encode_times(database, encode, times)
            except SampleError as error:
                failures["avg_encode_s"] = error
        if measured.get("encode_jobs") == 0:
            failures["avg_encode_s"] = SampleError("no_samples", "no encode ended in the window")
        reading = partial_reading(measured, failures)
        return {"pipeline": Reading({**empty, **measured}, reading.missing)}

    return Sampler("pipeline", {"pipeline": empty}, sample)


def _encode_times(database: ObservedDatabase, encode: Encode, times: str) -> dict[str, Any]:
    """Return the mean run time in seconds of the encodes that ended in the window, and how many."""
    with database.connect() as connection:
        rows = connection.execute(_ended_encodes(encode, times)).all()
    spans_s = [unix_seconds(row.finished, times) - unix_seconds(row.started, times) for row in rows]
    if any(span_s < 0 for span_s in spans_s):
        raise SampleError("bad_value", "an encode ended before it started")
    mean_s = round(sum(spans_s) / len(spans_s), 2) if spans_s else None
    return {"avg_encode_s": mean_s, "encode_jobs": len(spans_s)}


def _ended_encodes(encode: Encode, times: str) -> Select[Any]:
    jobs = named_table(
        encode.table,
        time_column(encode.started_column, times),
        time_column(encode.finished_column, times),
        encode.type_column,
        encode.status_column,
    )
    started, finished = jobs.c[encode.started_column], jobs.c[encode.finished_column]
    has_started = started.is_not(None) if times == "datetime" else started > 0
    return (
        select(started.label("started"), finished.label("finished"))
        .where(jobs.c[encode.type_column].in_(encode.types))
        .where(jobs.c[encode.status_column].in_(encode.completed))
        .where(finished >= time_before_now(encode.window_h / _HOURS_PER_DAY, times))
        .where(has_started)
        .limit(_MOST_JOBS)
    )
