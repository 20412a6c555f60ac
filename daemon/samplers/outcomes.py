"""Bucket outcomes: impressions, clicks, CTR and watch time of each feed bucket."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, case, func, select

from config import Config
from config.panels import Outcomes
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler
from daemon.samplers.counting import number
from daemon.samplers.tables import named_table
from daemon.samplers.time_columns import time_before_now, time_column

#: Bucket names come from the platform's users' traffic: the largest are enough for a page.
_MOST_BUCKETS = 50


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `outcomes`."""
    outcomes = config.outcomes
    if outcomes is None or database is None or config.observed is None:
        return Sampler("outcomes", {"outcomes": {}}, None)
    times = config.observed.times

    def sample() -> Mapping[str, Reading]:
        with database.connect() as connection:
            rows = connection.execute(_by_bucket(outcomes, times)).all()
        buckets = {_bucket_name(row.bucket): _outcome(row) for row in rows}
        reading = Reading(buckets, reason=None if buckets else "no_samples")
        return {"outcomes": reading}

    return Sampler("outcomes", {"outcomes": {}}, sample)


def _by_bucket(outcomes: Outcomes, times: str) -> Select[Any]:
    created = time_column(outcomes.created_column, times)
    clicked = time_column(outcomes.clicked_column, times)
    impressions = named_table(
        outcomes.table, created, clicked, outcomes.bucket_column, outcomes.watch_column
    )
    clicked_at = impressions.c[outcomes.clicked_column]
    # "Not clicked" is 0 in some tables and NULL in others; a date-time can only be NULL.
    is_click = clicked_at.is_not(None) if times == "datetime" else clicked_at > 0
    bucket = impressions.c[outcomes.bucket_column]
    count = func.count()
    since = time_before_now(outcomes.window_days, times)
    return (
        select(
            bucket.label("bucket"),
            count.label("impressions"),
            func.sum(case((is_click, 1), else_=0)).label("clicks"),
            func.avg(case((is_click, impressions.c[outcomes.watch_column]))).label("mean_watch_s"),
        )
        .where(impressions.c[outcomes.created_column] >= since)
        .group_by(bucket)
        .order_by(count.desc(), bucket)
        .limit(_MOST_BUCKETS)
    )


def _bucket_name(value: Any) -> str:
    return "(none)" if value is None else str(value)


def _outcome(row: Any) -> dict[str, Any]:
    clicks = int(row.clicks)
    return {
        "impressions": row.impressions,
        "clicks": clicks,
        "ctr": round(clicks / row.impressions, 6),
        "mean_watch_s": None if row.mean_watch_s is None else round(number(row.mean_watch_s), 3),
    }
