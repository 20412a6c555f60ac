"""Whether the store has the schema that this program reads and writes."""

from sqlalchemy import Engine, inspect, text

from store.tables import REVISION


class SchemaError(Exception):
    """The store's schema is missing, older or newer; the text says what to do."""


def require_current_schema(engine: Engine) -> None:
    """Return when the store is at this program's revision, else raise SchemaError."""
    with engine.connect() as connection:
        found = (
            connection.scalar(text("SELECT version_num FROM alembic_version"))
            if inspect(connection).has_table("alembic_version")
            else None
        )
    if found == REVISION:
        return
    if found is None:
        msg = "the store has no schema yet: run `opsnap migrate`"
    elif found < REVISION:
        msg = f"the store is at revision {found}, older than {REVISION}: run `opsnap migrate`"
    else:
        msg = f"the store is at revision {found}, newer than {REVISION}: run a newer opsnap"
    raise SchemaError(msg)
