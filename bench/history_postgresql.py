"""The same questions to PostgreSQL, with the same rows in it, beside SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, Table, create_engine, select

from bench.history_queries import ask
from bench.history_store import extent_ms, write_config, year_store
from bench.table import Row
from migrations.upgrading import upgrade
from store.engines import open_writer
from store.tables import latency_state, metadata
from tests.support.databases import PostgresServer

_MOST_RATIO = 2.0
_PROCESSES = 8
_ROWS = 2000


def measure(directory: Path) -> list[Row]:
    """Copy the year's store, whole, and ask both in turn."""
    store = year_store()
    with _postgresql(store) as url:
        configs = [write_config(directory, one) for one in (f"sqlite:///{store}", url)]
        sqlite, postgresql = ask(configs, extent_ms(store), processes=_PROCESSES)
    ratios = {
        name: median(postgresql[name].others) / median(one.others) for name, one in sqlite.items()
    }
    in_order = sorted(ratios, key=ratios.__getitem__)
    above = [f"{name} {ratios[name]:.2f}" for name in in_order if ratios[name] > _MOST_RATIO]
    told = f"{len(above)} of {len(ratios)} above the bound" + (
        f": {', '.join(above)}" if above else ""
    )
    return [
        Row(
            f"PostgreSQL / SQLite, {title}",
            f"{median(postgresql[name].others):.1f} ms",
            f"{median(sqlite[name].others):.1f} ms",
            ratios[name],
            f"<= {_MOST_RATIO:.0f}",
            ratios[name] <= _MOST_RATIO,
            f"{name}: {detail}",
        )
        for title, name, detail in (
            ("slowest question", in_order[-1], told),
            ("middle question", in_order[len(in_order) // 2], "the whole year in both"),
        )
    ]


@contextmanager
def _postgresql(store: Path) -> Iterator[str]:
    """Give the URL of a PostgreSQL with the rows of the SQLite file `store`."""
    # Not in the benchmark's own directory: run by root, the server is a user of its own.
    with TemporaryDirectory(prefix="opsnap-pg-", ignore_cleanup_errors=True) as directory:
        server = PostgresServer(Path(directory))
        try:
            url = server.new_database()
            upgrade(url)
            # A reader would be stopped after some seconds.
            whole, writer = open_writer(f"sqlite:///{store}"), open_writer(url, 0)
            _copy(whole, writer)
            whole.dispose()
            writer.dispose()
            yield url
        finally:
            server.stop()


def _copy(whole: Engine, writer: Engine) -> None:
    tables = [table for table in metadata.sorted_tables if table is not latency_state]
    with whole.connect() as old:
        for table in tables:
            with writer.begin() as new:
                _copy_table(old, new, table)
    with create_engine(writer.url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def _copy_table(old: Connection, new: Connection, table: Table) -> None:
    rows = old.execution_options(yield_per=_ROWS).execute(select(table))
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    driver = new.connection.driver_connection
    assert driver is not None
    with driver.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(tuple(row))
