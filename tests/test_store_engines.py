"""How the store is opened, brought to its schema, and checked before use."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from migrations.upgrading import upgrade
from store.engines import open_reader, open_writer
from store.reading import newest_taken_at_ms, snapshot_times
from store.revision import SchemaError, require_current_schema
from store.tables import metadata
from tests.support.documents import TAKEN_AT_MS, small_document, store
from tests.support.records import change, rows

WRITES = (
    "INSERT INTO sources VALUES ('other', 1)",
    "UPDATE sources SET newest_taken_at = 1",
    "DELETE FROM snapshots",
    "CREATE TABLE mine (a INTEGER)",
    "DROP TABLE interval_histograms",
)


@pytest.fixture
def reader(store_url: str) -> Iterator[Engine]:
    engine = open_reader(store_url)
    yield engine
    engine.dispose()


def sqlite_says(path: Path, pragma: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {pragma}").fetchone()[0]


@pytest.mark.parametrize("statement", WRITES)
def test_a_reader_cannot_write(store_url: str, reader: Engine, statement: str) -> None:
    store(store_url, small_document(TAKEN_AT_MS))
    with reader.connect() as connection:
        assert newest_taken_at_ms(connection, "test") == TAKEN_AT_MS
    with reader.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
        connection.execute(text(statement))
    assert rows(store_url, "SELECT source, newest_taken_at FROM sources") == [("test", TAKEN_AT_MS)]
    assert rows(store_url, "SELECT COUNT(*) FROM snapshots") == [(1,)]
    assert rows(store_url, "SELECT COUNT(*) FROM interval_histograms") == [(0,)]


def test_a_reader_of_sqlite_cannot_be_talked_into_writing(sqlite_url: str) -> None:
    with open_reader(sqlite_url).connect() as connection:
        connection.execute(text("PRAGMA query_only=OFF"))
        with pytest.raises(OperationalError, match="readonly"):
            connection.execute(text(WRITES[0]))


def test_a_reader_does_not_make_a_store_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with (
        pytest.raises(OperationalError, match="unable to open"),
        open_reader(f"sqlite:///{path}").connect(),
    ):
        pass
    assert not path.exists()


def test_a_reader_of_sqlite_holds_no_file_open_between_uses(sqlite_url: str) -> None:
    engine = open_reader(sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    with engine.connect() as connection:
        newest_taken_at_ms(connection, "test")
        assert path in _open_files()
    assert path not in _open_files()


def test_the_writer_of_sqlite_survives_a_power_cut_and_can_give_space_back(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    upgrade(f"sqlite:///{path}")
    writer = open_writer(f"sqlite:///{path}")
    with writer.connect() as connection:
        # 2 is FULL: every commit is on the disk before it is said to be one.
        assert connection.scalar(text("PRAGMA synchronous")) == 2
    writer.dispose()
    assert sqlite_says(path, "journal_mode") == "wal"
    # 2 is INCREMENTAL, which only a file without tables can be set to.
    assert sqlite_says(path, "auto_vacuum") == 2


@pytest.mark.parametrize(
    ("in_url", "name"),
    [
        ("a b.db", "a b.db"),
        ("100%25.db", "100%.db"),
        ("hash#tag.db", "hash#tag.db"),
        ("ünïcode.db", "ünïcode.db"),
    ],
)
def test_writer_and_reader_of_sqlite_mean_the_same_file(
    tmp_path: Path, in_url: str, name: str
) -> None:
    url = f"sqlite:///{tmp_path}/{in_url}"
    upgrade(url)
    store(url, small_document(TAKEN_AT_MS))
    with open_reader(url).connect() as connection:
        assert newest_taken_at_ms(connection, "test") == TAKEN_AT_MS
    assert (tmp_path / name).is_file()


def test_migrating_twice_changes_nothing_and_loses_nothing(store_url: str) -> None:
    stored = store(store_url, small_document(TAKEN_AT_MS))
    upgrade(store_url)
    upgrade(store_url)
    assert rows(store_url, "SELECT taken_at, document FROM snapshots") == [(TAKEN_AT_MS, stored)]
    assert rows(store_url, "SELECT COUNT(*) FROM alembic_version") == [(1,)]


def test_the_migrations_make_the_tables_that_the_program_knows(store_url: str) -> None:
    engine = create_engine(store_url, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_a_store_that_was_migrated_is_current(store_url: str, reader: Engine) -> None:
    require_current_schema(reader)
    writer = open_writer(store_url)
    require_current_schema(writer)
    writer.dispose()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE alembic_version", "the store has no schema yet: run `opsnap migrate`"),
        ("DELETE FROM alembic_version", "the store has no schema yet: run `opsnap migrate`"),
        (
            "UPDATE alembic_version SET version_num = '0000'",
            "the store is at revision 0000, older than {newest}: run `opsnap migrate`",
        ),
        (
            "UPDATE alembic_version SET version_num = '9999'",
            "the store is at revision 9999, newer than {newest}: run a newer opsnap",
        ),
    ],
)
def test_a_store_with_another_schema_is_refused_with_what_to_do(
    store_url: str, reader: Engine, statement: str, message: str
) -> None:
    ((newest,),) = rows(store_url, "SELECT version_num FROM alembic_version")
    change(store_url, statement)
    with pytest.raises(SchemaError) as caught:
        require_current_schema(reader)
    assert str(caught.value) == message.format(newest=newest)


def _open_files() -> set[str]:
    links = list(Path("/proc/self/fd").iterdir())
    return {str(link.resolve()) for link in links}


def test_everything_that_is_read_in_one_transaction_is_of_one_moment(store_url: str) -> None:
    store(store_url, small_document(TAKEN_AT_MS))
    reader = open_reader(store_url)
    with reader.connect() as connection:
        assert newest_taken_at_ms(connection, "test") == TAKEN_AT_MS
        store(store_url, small_document(TAKEN_AT_MS + 30_000))
        change(store_url, f"DELETE FROM snapshots WHERE taken_at = {TAKEN_AT_MS}")
        assert newest_taken_at_ms(connection, "test") == TAKEN_AT_MS
        assert snapshot_times(connection, "test", 0, 1 << 62, 10) == [TAKEN_AT_MS]
    with reader.connect() as connection:
        assert snapshot_times(connection, "test", 0, 1 << 62, 10) == [TAKEN_AT_MS + 30_000]
    reader.dispose()


def test_what_reads_for_longer_than_its_limit_is_ended(store_url: str) -> None:
    reader = open_reader(store_url, limit_s=0.3)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"
    )
    with (
        reader.connect() as connection,
        pytest.raises(OperationalError, match=r"interrupt|timeout"),
    ):
        connection.execute(text(endless))
    with reader.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    reader.dispose()
