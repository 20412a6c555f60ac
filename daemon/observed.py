"""Reading the platform's database without harming it: read-only, bounded, opened anew each time.

Every use is one connection that cannot write and is closed at once, and whose queries are cut
off when its time is up. Nothing is held between ticks, so no checkpoint of the platform's own
writer ever waits for us.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from daemon.failures import SampleError, causes, network_reason
from store.engines import connect_sqlite_read_only

_LOCK_PATIENCE_S = 1.0

_SQLITE_REASONS = {
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_INTERRUPT: "timeout",
    sqlite3.SQLITE_CORRUPT: "corrupt",
    sqlite3.SQLITE_NOTADB: "corrupt",
    sqlite3.SQLITE_CANTOPEN: "unreadable",
    sqlite3.SQLITE_READONLY: "unreadable",
    sqlite3.SQLITE_IOERR: "unreadable",
    sqlite3.SQLITE_PERM: "denied",
    sqlite3.SQLITE_AUTH: "denied",
}
#: By SQLSTATE, the longest prefix first (https://www.postgresql.org/docs/18/errcodes-appendix.html)
_SQLSTATE_REASONS = {
    "42P01": "no_table",
    "42703": "no_column",
    "42501": "denied",
    "57014": "timeout",
    "55P03": "locked",
    "40P01": "locked",
    "3D000": "no_file",
    "25": "denied",
    "28": "denied",
    "08": "unreachable",
    "57": "refused",
    "42": "bad_query",
    "22": "bad_value",
}
_PRIMARY_CODE = 0xFF


class ObservedDatabase:
    """The platform's database at `url`; `query_timeout_s` bounds each use as a whole."""

    def __init__(self, url: str, query_timeout_s: float) -> None:
        """Prepare an engine without connecting. Raises SampleError when its driver is missing."""
        self._url, self._timeout_s = make_url(url), query_timeout_s
        try:
            self._engine = _engine(self._url, query_timeout_s)
        except (NoSuchModuleError, ImportError) as error:
            raise SampleError("internal", f"the database driver is missing: {error}") from error

    @property
    def locks_as_a_whole(self) -> bool:
        """Whether a lock that one query waits for is in the way of all the others too."""
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a read-only connection; its errors, the caller's too, leave as SampleError."""
        database = self._url.database
        if self._url.get_backend_name() == "sqlite" and database:
            _require_file(Path(database))
        with as_sample_errors(), self._engine.connect() as connection:
            yield connection


@contextmanager
def as_sample_errors() -> Iterator[None]:
    """Turn the database errors of a `with` block into SampleError with their public reason."""
    try:
        yield
    except SQLAlchemyError as error:
        raise SampleError(_reason(error), str(error)) from error


def _require_file(path: Path) -> None:
    """Raise SampleError unless there is a file; SQLite's own error does not say what is wrong."""
    try:
        path.stat()
    except OSError as error:
        raise SampleError(network_reason(error) or "unreadable", str(error)) from error


def _engine(url: URL, timeout_s: float) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return create_engine(
            url, poolclass=NullPool, creator=lambda: _connect_sqlite(url, timeout_s)
        )
    if backend == "postgresql":
        milliseconds = int(timeout_s * 1000)
        options = (
            "-c default_transaction_read_only=on -c timezone=UTC"
            f" -c statement_timeout={milliseconds} -c lock_timeout={int(_LOCK_PATIENCE_S * 1000)}"
        )
        engine = create_engine(
            url,
            poolclass=NullPool,
            connect_args={"options": options, "connect_timeout": max(2, int(timeout_s))},
        )
        _bound_each_use(engine, timeout_s)
        return engine
    return create_engine(url, poolclass=NullPool)


def _bound_each_use(engine: Engine, timeout_s: float) -> None:
    """Give each statement on PostgreSQL what is left of its use's time: each alone would add up."""

    def begin(_connection: Any, record: Any) -> None:
        record.info["ends"] = time.monotonic() + timeout_s

    def bound(connection: Connection, cursor: Any, *_rest: Any) -> None:
        left_s = connection.info["ends"] - time.monotonic()
        # 0 would be no limit at all.
        cursor.execute(f"SET statement_timeout = {max(1, int(left_s * 1000))}")

    event.listen(engine, "connect", begin)
    event.listen(engine, "before_cursor_execute", bound)


def _connect_sqlite(url: URL, timeout_s: float) -> sqlite3.Connection:
    connection = connect_sqlite_read_only(url, min(_LOCK_PATIENCE_S, timeout_s), timeout_s)
    # A text that is not UTF-8 is shown with replacement characters; by default it is an error.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _reason(error: SQLAlchemyError) -> str:
    original = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(original, sqlite3.Error):
        return _sqlite_reason(original)
    sqlstate = getattr(original, "sqlstate", None)
    if isinstance(sqlstate, str):
        return next((_SQLSTATE_REASONS[p] for p in _prefixes(sqlstate)), "bad_query")
    return network_reason(error) or _by_words(error)


def _sqlite_reason(error: sqlite3.Error) -> str:
    text = str(error)
    if text.startswith("no such table"):
        return "no_table"
    if text.startswith("no such column"):
        return "no_column"
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return "bad_query"
    return _SQLITE_REASONS.get(code & _PRIMARY_CODE, "bad_query")


def _prefixes(sqlstate: str) -> Iterator[str]:
    for length in (5, 2):
        if sqlstate[:length] in _SQLSTATE_REASONS:
            yield sqlstate[:length]


def _by_words(error: BaseException) -> str:
    """Judge connection errors that carry no code: libpq gives the system's words only."""
    words = " ".join(str(one) for one in causes(error)).lower()
    for phrase, reason in (
        ("timeout expired", "timeout"),
        ("connection refused", "refused"),
        ("could not translate host name", "dns"),
        ("failed to resolve host", "dns"),
        ("no route to host", "unreachable"),
        ("network is unreachable", "unreachable"),
        ("authentication failed", "denied"),
        ('role "', "denied"),
        ("does not exist", "no_file"),
        ("no such file", "no_file"),
        ("ssl", "tls"),
        ("closed the connection", "reset"),
        ("connection is lost", "reset"),
    ):
        if phrase in words:
            return reason
    return "unreadable"
