"""Opening the store: the one place that knows how SQLite and PostgreSQL differ.

A writer is for the daemon and the migrations; a reader cannot write, whatever it is asked.
"""

import sqlite3
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool, QueuePool

_BUSY_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 5
#: How long reading may take unless somebody says otherwise, in seconds.
DEFAULT_LIMIT_S = 5.0
#: SQLite's own steps between two looks at the clock: a few a millisecond.
_STEPS_BETWEEN_LOOKS = 10_000
_WRITE_TIMEOUT_S = 15


def open_writer(url: str, statement_timeout_s: int = _WRITE_TIMEOUT_S) -> Engine:
    """Return an engine that writes to the store at `url`, over one connection.

    On PostgreSQL a statement has `statement_timeout_s` seconds; 0 is no limit.
    On SQLite: WAL, `synchronous=FULL`, transactions that take the write lock as they begin, and
    a file that can give space back. Nothing is opened before the first use.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        options = f"-c statement_timeout={statement_timeout_s}s -c lock_timeout={_READ_TIMEOUT_S}s"
        return create_engine(
            parsed,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": _READ_TIMEOUT_S},
        )
    engine = create_engine(
        parsed,
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite_writer)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def open_reader(url: str, limit_s: float | None = DEFAULT_LIMIT_S) -> Engine:
    """Return an engine that only reads the store at `url`.

    Everything that is read within one transaction is of one moment, whatever is rolled up and
    deleted meanwhile.

    What takes longer than `limit_s` is ended with an OperationalError: on SQLite everything that
    is done with one connection together, on PostgreSQL a statement. None is no limit.
    On SQLite it cannot write, whatever it is asked. On PostgreSQL its transactions are read-only
    unless a statement says otherwise, which none of ours does; a role with SELECT alone makes sure.
    On SQLite every use opens the file anew, so that a file that was replaced is noticed and no
    read transaction is ever left behind.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        limit_ms = 0 if limit_s is None else round(limit_s * 1000)
        options = f"-c default_transaction_read_only=on -c statement_timeout={limit_ms}"
        return create_engine(
            parsed,
            isolation_level="REPEATABLE READ",
            pool_size=2,
            max_overflow=2,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": _READ_TIMEOUT_S},
        )
    engine = create_engine(
        parsed,
        poolclass=NullPool,
        creator=lambda: connect_sqlite_read_only(parsed, _BUSY_TIMEOUT_S, limit_s),
    )
    event.listen(engine, "connect", _leave_begin_to_us)
    event.listen(engine, "begin", _begin_deferred)
    return engine


def connect_sqlite_read_only(
    url: URL, patience_s: float, limit_s: float | None
) -> sqlite3.Connection:
    """Open the SQLite file of `url` so that it cannot be written, whatever is asked.

    `patience_s` is how long a locked database is waited for. After `limit_s` whatever is
    asked is interrupted. Raises sqlite3.OperationalError when the file is not there or not
    readable.
    """
    path = Path(url.database or "").absolute()
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=patience_s,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only=ON")
    if limit_s is not None:
        ends = time.monotonic() + limit_s
        connection.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS_BETWEEN_LOOKS)
    return connection


def _set_up_sqlite_writer(connection: sqlite3.Connection, _record: Any) -> None:
    # auto_vacuum has to come before anything that writes the file's first page.
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    _leave_begin_to_us(connection, _record)


def _leave_begin_to_us(connection: sqlite3.Connection, _record: Any) -> None:
    # SQLAlchemy's documented way to say BEGIN ourselves: the driver must not.
    connection.isolation_level = None


def _begin_deferred(connection: Any) -> None:
    # The driver by itself begins none for reading: each statement would see another moment.
    connection.exec_driver_sql("BEGIN")


def _begin_immediate(connection: Any) -> None:
    # A transaction that starts reading and then writes can fail halfway with "locked".
    connection.exec_driver_sql("BEGIN IMMEDIATE")
