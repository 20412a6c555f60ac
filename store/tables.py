"""The store's tables. Everything is keyed by `(source, taken_at)`, in Unix milliseconds of UTC.

No sequences and no vendor types, so that the schema is the same on SQLite, on PostgreSQL, and
on what speaks PostgreSQL. The migrations in `migrations/` create it; a test holds both equal.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

#: The newest revision in `migrations/versions`, which this program reads and writes.
REVISION = "0002"

metadata = MetaData()

#: One row a daemon name; taking it forward is what makes a second snapshot of a tick impossible.
sources = Table(
    "sources",
    metadata,
    Column("source", Text, primary_key=True),
    Column("newest_taken_at", BigInteger, nullable=False),
)

#: The documents, stored as they are served.
snapshots = Table(
    "snapshots",
    metadata,
    Column("source", Text, primary_key=True),
    Column("taken_at", BigInteger, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

#: The requests of one tick's interval, by latency class. Durations in microseconds; of rows from
#: before revision 0002 nobody knows when their requests ended, and what was lost: null.
interval_histograms = Table(
    "interval_histograms",
    metadata,
    Column("source", Text, primary_key=True),
    Column("taken_at", BigInteger, primary_key=True, autoincrement=False),
    Column("class_key", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("clamped", Integer, nullable=False),
    Column("min_us", BigInteger),
    Column("max_us", BigInteger),
    Column("histogram", LargeBinary, nullable=False),
    Column("oldest_at", BigInteger),
    Column("newest_at", BigInteger),
    Column("lost", BigInteger),
    Column("unparsed", BigInteger),
    Column("log_lines", BigInteger),
)

#: How far the daemon has read its sources of requests, what it has counted since the newest
#: snapshot, and its windows: as `daemon.latency.state` writes it. `version` counts the changes, so
#: that nobody writes over what somebody else has written meanwhile.
latency_state = Table(
    "latency_state",
    metadata,
    Column("source", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
