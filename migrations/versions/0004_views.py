"""views: the history as people with SQL tools ask for it

docs/HISTORY.md tells their columns. The SQL is the same on SQLite and on PostgreSQL: `/` between
integers drops the rest on both, and FLOAT has eight bytes on both. A later migration that changes a
table under a view has to drop the view before, and to create it anew.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A sum that was rounded, divided and rounded again can miss a constant by its last bit: a mean
# stays between the extremes.
_VALUES = """
SELECT
    m.source AS source,
    v.tier AS tier,
    v.starts_at / 1000 AS time,
    v.starts_at AS starts_at,
    m.path AS path,
    v.count AS snapshots,
    p.expected AS expected,
    v.min AS min,
    CASE
        WHEN v.total / v.count < v.min THEN v.min
        WHEN v.total / v.count > v.max THEN v.max
        ELSE v.total / v.count
    END AS mean,
    v.max AS max,
    v.last AS last
FROM metrics m
JOIN rollup_values v ON v.metric = m.metric
LEFT JOIN rollup_periods p
    ON p.source = m.source AND p.tier = v.tier AND p.starts_at = v.starts_at
"""

_LATENCY = """
SELECT
    l.source AS source,
    l.tier AS tier,
    l.starts_at / 1000 AS time,
    l.starts_at AS starts_at,
    l.class_key AS class,
    p.snapshots AS snapshots,
    p.expected AS expected,
    l.count AS requests,
    l.errors AS errors,
    l.lost AS lost,
    l.clamped AS clamped,
    CAST(l.min_us AS FLOAT) / 1000 AS min_ms,
    CAST(l.p50_us AS FLOAT) / 1000 AS p50_ms,
    CAST(l.p75_us AS FLOAT) / 1000 AS p75_ms,
    CAST(l.p90_us AS FLOAT) / 1000 AS p90_ms,
    CAST(l.p95_us AS FLOAT) / 1000 AS p95_ms,
    CAST(l.p99_us AS FLOAT) / 1000 AS p99_ms,
    CAST(l.p999_us AS FLOAT) / 1000 AS p999_ms,
    CAST(l.max_us AS FLOAT) / 1000 AS max_ms
FROM rollup_latency l
LEFT JOIN rollup_periods p
    ON p.source = l.source AND p.tier = l.tier AND p.starts_at = l.starts_at
"""

_PERIODS = """
SELECT
    source AS source,
    tier AS tier,
    starts_at / 1000 AS time,
    starts_at AS starts_at,
    snapshots AS snapshots,
    expected AS expected,
    CASE WHEN snapshots >= expected THEN 1.0 ELSE snapshots / expected END AS coverage
FROM rollup_periods
"""

_STATUS_CHANGES = """
SELECT
    source AS source,
    CAST(taken_at AS FLOAT) / 1000 AS time,
    taken_at AS taken_at,
    kind AS kind,
    name AS name,
    from_status AS from_status,
    to_status AS to_status,
    reason AS reason,
    previous_at AS previous_at
FROM status_changes
"""

# A document that was thinned out is compressed, which SQL cannot read.
_SNAPSHOTS = """
SELECT
    source AS source,
    CAST(taken_at AS FLOAT) / 1000 AS time,
    taken_at AS taken_at,
    0 AS thinned,
    document AS document
FROM snapshots
UNION ALL
SELECT
    k.source AS source,
    CAST(k.taken_at AS FLOAT) / 1000 AS time,
    k.taken_at AS taken_at,
    1 AS thinned,
    CAST(NULL AS TEXT) AS document
FROM kept_snapshots k
WHERE NOT EXISTS (
    SELECT 1 FROM snapshots s WHERE s.source = k.source AND s.taken_at = k.taken_at
)
"""

_VIEWS = {
    "history_values": _VALUES,
    "history_latency": _LATENCY,
    "history_periods": _PERIODS,
    "history_status_changes": _STATUS_CHANGES,
    "history_snapshots": _SNAPSHOTS,
}


def upgrade() -> None:
    """Create the views."""
    for name, query in _VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    """Drop them."""
    for name in _VIEWS:
        op.execute(f"DROP VIEW {name}")
