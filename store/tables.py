"""The store's tables, keyed by source and time: `taken_at`, or `starts_at` of a roll-up's period.

All times are Unix milliseconds of UTC. In `rollup_values` the metric's number tells the source.
No sequences and no vendor types, so that the schema is the same on SQLite, on PostgreSQL, and
on what speaks PostgreSQL. The migrations in `migrations/` create it; a test holds both equal.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

#: The newest revision in `migrations/versions`, which this program reads and writes.
REVISION = "0004"

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

#: The paths that numbers of documents have had, each with a small number of its own in the store.
metrics = Table(
    "metrics",
    metadata,
    Column("metric", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("path", Text, nullable=False),
    UniqueConstraint("source", "path"),
)

#: How far each tier has been made: rows are there for all periods that end by `until`.
rollup_progress = Table(
    "rollup_progress",
    metadata,
    Column("source", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),
)

#: A row a period in which snapshots were taken: how many, and how many were expected, which is less
#: than one when the interval is longer than the period.
rollup_periods = Table(
    "rollup_periods",
    metadata,
    Column("source", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("snapshots", Integer, nullable=False),
    Column("expected", Float, nullable=False),
)

#: What a number was in a period. `count` is how many snapshots had it; `total` and `total_rest`
#: (what one float could not hold) are together their exact sum, so that sums of sums are exact too.
#: These are most of the store's rows: the metric tells the source.
rollup_values = Table(
    "rollup_values",
    metadata,
    Column("tier", Text, primary_key=True),
    Column("metric", Integer, primary_key=True, autoincrement=False),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("min", Float, nullable=False),
    Column("max", Float, nullable=False),
    Column("total", Float, nullable=False),
    Column("total_rest", Float, nullable=False),
    Column("last", Float, nullable=False),
    sqlite_with_rowid=False,
)

#: The merged intervals of a class in a period, with their percentiles. Columns as in
#: `interval_histograms`; a tier that is there for its percentiles alone has no `histogram`.
rollup_latency = Table(
    "rollup_latency",
    metadata,
    Column("source", Text, primary_key=True),
    Column("tier", Text, primary_key=True),
    Column("starts_at", BigInteger, primary_key=True, autoincrement=False),
    Column("class_key", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("clamped", BigInteger, nullable=False),
    Column("min_us", BigInteger),
    Column("max_us", BigInteger),
    Column("p50_us", BigInteger),
    Column("p75_us", BigInteger),
    Column("p90_us", BigInteger),
    Column("p95_us", BigInteger),
    Column("p99_us", BigInteger),
    Column("p999_us", BigInteger),
    Column("oldest_at", BigInteger),
    Column("newest_at", BigInteger),
    Column("lost", BigInteger),
    Column("unparsed", BigInteger),
    Column("log_lines", BigInteger),
    Column("histogram", LargeBinary),
)

#: Documents that outlive the snapshots: the first of each 5 minutes, later of each hour, and the
#: last one where the next period does not begin with one. So a moment on a multiple of these leads
#: to the same document for ever. Compressed by zlib, with the document of `based_on`, the first of
#: its hour, as dictionary, which makes it a third.
kept_snapshots = Table(
    "kept_snapshots",
    metadata,
    Column("source", Text, primary_key=True),
    Column("taken_at", BigInteger, primary_key=True, autoincrement=False),
    Column("based_on", BigInteger),
    Column("document", LargeBinary, nullable=False),
)

#: What changed its state with a snapshot: a node, or a section. Null stands for not being there.
#: `previous_at` is when the snapshot was taken that this one was compared with.
status_changes = Table(
    "status_changes",
    metadata,
    Column("source", Text, primary_key=True),
    Column("taken_at", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("from_status", Text),
    Column("to_status", Text),
    Column("reason", Text),
    Column("previous_at", BigInteger),
)
