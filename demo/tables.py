"""The platform's tables: the columns that its engineering page stands on."""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE videos (
    id INTEGER PRIMARY KEY, video_id TEXT UNIQUE NOT NULL, agent_id INTEGER NOT NULL,
    created_at REAL NOT NULL, is_removed INTEGER);
CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_human INTEGER DEFAULT 0);
CREATE TABLE comments (id INTEGER PRIMARY KEY, video_id TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE tips (id INTEGER PRIMARY KEY, amount REAL NOT NULL, status TEXT);
CREATE TABLE gpu_jobs (
    id TEXT PRIMARY KEY, job_type TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
    created_at INTEGER NOT NULL, claimed_at INTEGER, started_at INTEGER, completed_at INTEGER,
    actual_mins REAL);
CREATE INDEX gpu_jobs_status ON gpu_jobs (status, created_at);
CREATE TABLE feed_impressions (
    impression_id TEXT PRIMARY KEY, visitor_id TEXT NOT NULL, surface TEXT NOT NULL,
    bucket TEXT NOT NULL, video_id TEXT NOT NULL, position INTEGER NOT NULL,
    created_at REAL NOT NULL, clicked_at REAL DEFAULT 0, watch_seconds REAL DEFAULT 0);
CREATE INDEX feed_impressions_bucket ON feed_impressions (bucket, created_at DESC);
CREATE TABLE variant_impressions (
    id INTEGER PRIMARY KEY, video_id TEXT NOT NULL, variant_key TEXT NOT NULL,
    event_type TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE video_renditions (id INTEGER PRIMARY KEY, video_id TEXT NOT NULL, label TEXT NOT NULL);
CREATE TABLE video_provenance (
    id INTEGER PRIMARY KEY, video_id TEXT NOT NULL, anchor_tx_hash TEXT DEFAULT '');
"""


def connect(path: Path | str) -> sqlite3.Connection:
    """Open the platform's database at `path` the way the platform does: WAL, 5 s patience."""
    connection = sqlite3.connect(path, timeout=5, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection
