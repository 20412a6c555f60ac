"""history: roll-ups of numbers and of latency, documents that are kept, changes of status"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _period() -> list[sa.Column[object]]:
    """Return the primary key of a table of periods."""
    return [
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("tier", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
    ]


def _moment() -> list[sa.Column[object]]:
    """Return the primary key of a table of what belongs to one snapshot."""
    return [
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("taken_at", sa.BigInteger, primary_key=True, autoincrement=False),
    ]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "metrics",
        sa.Column("metric", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.UniqueConstraint("source", "path"),
    )
    op.create_table(
        "rollup_progress",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("tier", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollup_periods",
        *_period(),
        sa.Column("snapshots", sa.Integer, nullable=False),
        sa.Column("expected", sa.Float, nullable=False),
    )
    op.create_table(
        "rollup_values",
        sa.Column("tier", sa.Text, primary_key=True),
        sa.Column("metric", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("starts_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("min", sa.Float, nullable=False),
        sa.Column("max", sa.Float, nullable=False),
        sa.Column("total", sa.Float, nullable=False),
        sa.Column("total_rest", sa.Float, nullable=False),
        sa.Column("last", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_latency",
        *_period(),
        sa.Column("class_key", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("clamped", sa.BigInteger, nullable=False),
        sa.Column("min_us", sa.BigInteger),
        sa.Column("max_us", sa.BigInteger),
        *(sa.Column(f"p{p}_us", sa.BigInteger) for p in (50, 75, 90, 95, 99, 999)),
        sa.Column("oldest_at", sa.BigInteger),
        sa.Column("newest_at", sa.BigInteger),
        sa.Column("lost", sa.BigInteger),
        sa.Column("unparsed", sa.BigInteger),
        sa.Column("log_lines", sa.BigInteger),
        sa.Column("histogram", sa.LargeBinary),
    )
    op.create_table(
        "kept_snapshots",
        *_moment(),
        sa.Column("based_on", sa.BigInteger),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "status_changes",
        *_moment(),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("from_status", sa.Text),
        sa.Column("to_status", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("previous_at", sa.BigInteger),
    )
    _note_present_states()


def _note_present_states() -> None:
    """Note the states in each newest snapshot, as with the first one of a new store.

    What is bad by then would otherwise never become an incident: only changes are written.
    """
    newest = sa.text(
        "SELECT s.source, s.taken_at, s.document FROM sources o JOIN snapshots s"
        " ON s.source = o.source AND s.taken_at = o.newest_taken_at"
    )
    note = sa.text(
        "INSERT INTO status_changes (source, taken_at, kind, name, to_status, reason)"
        " VALUES (:source, :taken_at, :kind, :name, :status, :reason)"
    )
    connection = op.get_bind()
    for source, taken_at, text in connection.execute(newest).all():
        try:
            document = json.loads(text)
            nodes = {node["id"]: node for node in document.get("nodes") or ()}
            found = {"node": nodes, "section": document.get("sections") or {}}
            rows = [
                {
                    "source": source,
                    "taken_at": taken_at,
                    "kind": kind,
                    "name": name,
                    "status": str(entry["status"]),
                    "reason": entry.get("reason"),
                }
                for kind, entries in found.items()
                for name, entry in entries.items()
            ]
        except (ValueError, LookupError, TypeError, AttributeError):
            # A damaged document has none, and holds up nothing.
            continue
        if rows:
            connection.execute(note, rows)


def downgrade() -> None:
    """Drop them."""
    for name in (
        "status_changes",
        "kept_snapshots",
        "rollup_latency",
        "rollup_values",
        "rollup_periods",
        "rollup_progress",
        "metrics",
    ):
        op.drop_table(name)
