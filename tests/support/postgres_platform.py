"""The platform's tables in PostgreSQL, and one tick over them."""

import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from demo.tables import SCHEMA
from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.rows import rows_of
from tests.support.sampling import cycle_of, document_of
from tests.support.servers import RawServer, healthy

QUERY_TIMEOUT_S = 1.0
#: Sections that are read from the platform's database alone.
READERS = ("queue", "outcomes", "experiments", "pipeline")

Change = Callable[[dict[str, Any]], None]
Sample = Callable[[Change], Document]


def as_it_is(_tree: dict[str, Any]) -> None:
    """Change nothing of the configuration."""


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect as the server's owner, with every statement its own transaction."""
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def copy_platform(sqlite_path: Path, url: str) -> None:
    """Create the platform's tables in the database at `url` with the rows of its SQLite file."""
    with closing(connect(url)) as connection:
        # REAL has four bytes here, too few for the time of day.
        connection.execute(re.sub(r"\bREAL\b", "DOUBLE PRECISION", SCHEMA))
        for table in re.findall(r"CREATE TABLE (\w+)", SCHEMA):
            rows = rows_of(sqlite_path, table)
            columns = ", ".join(rows[0])
            with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(list(row.values()))


def sampling(tmp_path: Path, store_url: str, platform_url: str) -> Sample:
    """Return what takes one tick over the platform, as a change alters its configuration."""

    def sample(change: Change) -> Document:
        with RawServer(healthy()) as health:
            tree = bottube_tree(
                store_url=store_url,
                observed_url=platform_url,
                node_urls=(health.url,),
                health_url=health.url,
            )
            tree["observed"]["query_timeout_s"] = QUERY_TIMEOUT_S
            change(tree)
            return document_of(cycle_of(tmp_path, tree))

    return sample


def counting(**counts: str) -> Change:
    """Return the change to a configuration that has `counts` alone."""

    def change(tree: dict[str, Any]) -> None:
        tree["state"]["counts"] = counts

    return change


def watching(url: str) -> Change:
    """Return the change to a configuration that watches the database at `url`."""

    def change(tree: dict[str, Any]) -> None:
        tree["observed"]["url"] = url

    return change


def altered(url: str, **changes: Any) -> str:
    """Return `url` with another user, password or database."""
    return make_url(url).set(**changes).render_as_string(hide_password=False)
