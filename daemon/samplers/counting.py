"""Running the operator's own SQL, each statement of which has to return one number."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from daemon.failures import SampleError
from daemon.observed import ObservedDatabase, as_sample_errors

Number = int | float


def count_each(
    database: ObservedDatabase, statements: Mapping[str, str]
) -> tuple[dict[str, Number | None], dict[str, SampleError]]:
    """Return a number or None for each statement, and the failure behind each None.

    One statement that fails hides none of the others.
    """
    numbers: dict[str, Number | None] = dict.fromkeys(statements)
    failures: dict[str, SampleError] = {}
    try:
        with database.connect() as connection:
            for name, statement in statements.items():
                try:
                    numbers[name] = _one_number(connection, statement)
                except SampleError as error:
                    if error.reason == "locked" and database.locks_as_a_whole:
                        raise
                    failures[name] = error
                    connection.rollback()
    except SampleError as error:
        # Of the database, not of one statement: to ask on would cost the same wait for each.
        untold = statements.keys() - failures.keys()
        failures |= {name: error for name in statements if name in untold and numbers[name] is None}
    return numbers, failures


def _one_number(connection: Connection, statement: str) -> Number:
    with as_sample_errors():
        rows = connection.exec_driver_sql(statement).fetchmany(2)
    if len(rows) != 1 or len(rows[0]) != 1:
        raise SampleError("bad_value", f"expected one row with one number from: {statement}")
    return number(rows[0][0])


def number(value: Any) -> Number:
    """Return a database value as a finite number. Raises SampleError for NULL and the rest."""
    if value is None:
        raise SampleError("no_samples", "the query returned NULL")
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SampleError("bad_value", f"{value!r} is not a finite number")
    return value
