"""Running A/B experiments: what is tested, with how many variants, over how many impressions."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select

from config import Config
from config.panels import Experiments
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler
from daemon.samplers.tables import named_table
from daemon.samplers.time_columns import time_before_now, time_column

_EMPTY: dict[str, Any] = {"experiments": []}


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `experiments`."""
    experiments = config.experiments
    if experiments is None or database is None or config.observed is None:
        return Sampler("experiments", _EMPTY, None)
    times = config.observed.times

    def sample() -> Mapping[str, Reading]:
        with database.connect() as connection:
            rows = connection.execute(_by_test(experiments, times)).all()
        tests = [
            {
                "name": f"{experiments.name_prefix}{row.test}",
                "variants": row.variants,
                "impressions": row.impressions,
            }
            for row in rows
        ]
        return {"experiments": Reading(tests, reason=None if tests else "no_samples")}

    return Sampler("experiments", _EMPTY, sample)


def _by_test(experiments: Experiments, times: str) -> Select[Any]:
    events = named_table(
        experiments.table,
        time_column(experiments.created_column, times),
        experiments.id_column,
        experiments.variant_column,
        experiments.event_column,
    )
    test, variant = events.c[experiments.id_column], events.c[experiments.variant_column]
    impressions = func.count()
    since = time_before_now(experiments.window_days, times)
    statement = (
        select(
            test.label("test"),
            func.count(variant.distinct()).label("variants"),
            impressions.label("impressions"),
        )
        .where(events.c[experiments.created_column] >= since)
        .where(events.c[experiments.event_column] == experiments.impression_event)
        .where(test.is_not(None))
        .group_by(test)
        .order_by(impressions.desc(), test)
        .limit(experiments.limit)
    )
    for prefix in experiments.exclude_variant_prefixes:
        # Not LIKE: SQLite's ignores case, and _ and % in a prefix would be patterns.
        statement = statement.where(func.substr(variant, 1, len(prefix)) != prefix)
    return statement
