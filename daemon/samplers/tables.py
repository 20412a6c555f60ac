"""Tables of the platform by the names that the configuration gives."""

from typing import Any

from sqlalchemy import ColumnClause, TableClause, column, table


def named_table(name: str, *columns: ColumnClause[Any] | str) -> TableClause:
    """Return the table `name` ("table" or "schema.table") with `columns`, quoted as needed.

    Columns taken from its `.c` are rendered together with the table's name. That matters:
    SQLite takes a lone quoted name that is no column for a string, and would count on in silence.
    """
    schema, _, bare_name = name.rpartition(".")
    clauses = [column(one) if isinstance(one, str) else one for one in columns]
    return table(bare_name, *clauses, schema=schema or None)
