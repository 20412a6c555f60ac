"""how far the sources of requests have been read, and what stands beside an interval's histogram"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = ("oldest_at", "newest_at", "lost", "unparsed", "log_lines")


def upgrade() -> None:
    """Add them; of older intervals nobody knows what was lost: null."""
    for name in _COLUMNS:
        op.add_column("interval_histograms", sa.Column(name, sa.BigInteger))
    op.create_table(
        "latency_state",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("latency_state")
    for name in _COLUMNS:
        op.drop_column("interval_histograms", name)
