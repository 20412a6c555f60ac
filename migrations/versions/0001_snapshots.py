"""snapshots, their interval histograms, and the sources that write them"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the first tables."""
    op.create_table(
        "sources",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("newest_taken_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "snapshots",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("taken_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "interval_histograms",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("taken_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("class_key", sa.Text, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("errors", sa.BigInteger, nullable=False),
        sa.Column("clamped", sa.Integer, nullable=False),
        sa.Column("min_us", sa.BigInteger),
        sa.Column("max_us", sa.BigInteger),
        sa.Column("histogram", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop everything."""
    op.drop_table("interval_histograms")
    op.drop_table("snapshots")
    op.drop_table("sources")
