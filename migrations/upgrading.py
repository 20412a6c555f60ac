"""Bringing a store to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig

from store.engines import open_writer


def upgrade(url: str) -> None:
    """Bring the store at `url` to the newest schema, in one transaction; twice does no harm.

    Raises SQLAlchemy's errors when the store cannot be written, and Alembic's CommandError when
    it is at a revision that this program does not know.
    """
    alembic_config = AlembicConfig()
    alembic_config.set_main_option("script_location", str(Path(__file__).parent))
    engine = open_writer(url, statement_timeout_s=0)
    try:
        with engine.begin() as connection:
            alembic_config.attributes["connection"] = connection
            command.upgrade(alembic_config, "head")
    finally:
        engine.dispose()
