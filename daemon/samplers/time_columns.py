"""The observed tables' times: what to compare a column with, and what a value of it means."""

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnClause, DateTime, Numeric, column

from daemon.failures import SampleError

_DAY_S = 86_400.0


def time_column(name: str, times: str) -> ColumnClause[Any]:
    """Return the column `name` with the type that `[observed] times` gives it."""
    if times == "datetime":
        return column(name, DateTime(timezone=True))
    return column(name, Numeric(asdecimal=False))


def time_before_now(days: float, times: str) -> Any:
    """Return the moment `days` days ago as a column of that kind holds it."""
    return column_time(time.time() - days * _DAY_S, times)


def column_time(at_s: float, times: str) -> Any:
    """Return `at_s` (Unix seconds) as a column of that kind holds it."""
    if times == "datetime":
        return datetime.fromtimestamp(at_s, UTC)
    return at_s * 1000 if times == "epoch_ms" else at_s


def unix_seconds(value: Any, times: str) -> float:
    """Return a column's value as Unix seconds. Raises SampleError for what is not a time."""
    if times == "datetime" and isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if times != "datetime" and isinstance(value, int | float):
        return value / 1000 if times == "epoch_ms" else float(value)
    raise SampleError("bad_value", f"{value!r} is not a time as {times}")
