"""Tables and columns that the platform does not have: each costs what stands on it alone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.sampling import cycle_of, document_of
from tests.support.servers import RawServer, healthy


@pytest.fixture
def tree(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> Iterator[dict[str, Any]]:
    """A configuration with every section over sources that are fine."""
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    with RawServer(healthy()) as health:
        yield bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            log_path=log,
            node_urls=(health.url,),
            health_url=health.url,
        )


def _change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        ("videos", {"state": {"videos"}}),
        ("agents", {"state": {"agents", "humans"}}),
        ("tips", {"state": {"tips_confirmed"}}),
        ("comments", {"state": {"comments"}}),
        ("gpu_jobs", {"queue": None, "pipeline": {"avg_encode_s"}}),
        ("feed_impressions", {"outcomes": None}),
        ("variant_impressions", {"experiments": None}),
        ("video_renditions", {"pipeline": {"renditions"}}),
        ("video_provenance", {"pipeline": {"with_provenance", "anchored"}}),
    ],
)
def test_a_table_that_is_not_there_costs_what_stands_on_it_and_nothing_else(
    tmp_path: Path,
    tree: dict[str, Any],
    bottube_path: Path,
    table: str,
    missing: dict[str, set[str] | None],
) -> None:
    _change(bottube_path, f"DROP TABLE {table}")
    document = document_of(cycle_of(tmp_path, tree))
    _assert_only_these_are_missing(document, missing, "no_table")


@pytest.mark.parametrize(
    ("column", "missing"),
    [
        ("videos.is_removed", {"state": {"videos"}}),
        ("agents.is_human", {"state": {"agents", "humans"}}),
        ("tips.status", {"state": {"tips_confirmed"}}),
        ("video_provenance.anchor_tx_hash", {"pipeline": {"anchored"}}),
        ("gpu_jobs.status", {"queue": None, "pipeline": {"avg_encode_s"}}),
        ("gpu_jobs.created_at", {"queue": None}),
        ("gpu_jobs.completed_at", {"queue": None, "pipeline": {"avg_encode_s"}}),
        ("gpu_jobs.started_at", {"pipeline": {"avg_encode_s"}}),
        ("gpu_jobs.job_type", {"pipeline": {"avg_encode_s"}}),
        ("feed_impressions.bucket", {"outcomes": None}),
        ("feed_impressions.created_at", {"outcomes": None}),
        ("feed_impressions.clicked_at", {"outcomes": None}),
        ("feed_impressions.watch_seconds", {"outcomes": None}),
        ("variant_impressions.video_id", {"experiments": None}),
        ("variant_impressions.variant_key", {"experiments": None}),
        ("variant_impressions.event_type", {"experiments": None}),
        ("variant_impressions.created_at", {"experiments": None}),
    ],
)
def test_a_column_that_is_not_there_costs_what_stands_on_it_and_nothing_else(
    tmp_path: Path,
    tree: dict[str, Any],
    bottube_path: Path,
    column: str,
    missing: dict[str, set[str] | None],
) -> None:
    table, _, name = column.partition(".")
    _change(bottube_path, f"ALTER TABLE {table} RENAME COLUMN {name} TO another_name")
    document = document_of(cycle_of(tmp_path, tree))
    _assert_only_these_are_missing(document, missing, "no_column")


def _assert_only_these_are_missing(
    document: Document, missing: dict[str, set[str] | None], reason: str
) -> None:
    """`missing` has the values by section; None stands for the whole section."""
    for name, section in document["sections"].items():
        if name not in missing:
            assert (section["status"], section["reason"]) == ("ok", None), name
            continue
        values = missing[name]
        assert section["reason"] == reason
        if values is None:
            assert section["status"] == "error"
            continue
        assert section["status"] == "partial"
        assert section["missing"] == dict.fromkeys(values, reason)
        nulls = {key for key, value in document[name].items() if value is None}
        # How many encodes there were is not known either, where their mean is not.
        assert nulls - {"encode_jobs"} == values


#: SQLite takes "order" in double quotes for a text when there is no such column, and counts on.
NO_COLUMN = "order"


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("queue", "status_column"),
        ("queue", "created_column"),
        ("queue", "finished_column"),
        ("outcomes", "bucket_column"),
        ("outcomes", "created_column"),
        ("outcomes", "clicked_column"),
        ("outcomes", "watch_column"),
        ("experiments", "id_column"),
        ("experiments", "variant_column"),
        ("experiments", "event_column"),
        ("experiments", "created_column"),
        ("pipeline.encode", "type_column"),
        ("pipeline.encode", "status_column"),
        ("pipeline.encode", "started_column"),
        ("pipeline.encode", "finished_column"),
    ],
)
def test_a_column_whose_name_needs_quotes_is_never_taken_for_a_text(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path, section: str, key: str
) -> None:
    # SQLite does what this test is about: otherwise it would show nothing.
    with closing(sqlite3.connect(bottube_path)) as connection:
        (told,) = connection.execute(f'SELECT COUNT("{NO_COLUMN}") FROM videos').fetchone()
    assert told == 200
    name, _, part = section.partition(".")
    (tree[name][part] if part else tree[name])[key] = NO_COLUMN
    document = document_of(cycle_of(tmp_path, tree))
    entry = document["sections"][name]
    assert entry["reason"] == "no_column"
    if part:
        assert (document["pipeline"]["avg_encode_s"], entry["status"]) == (None, "partial")
    else:
        assert entry["status"] == "error"


def test_names_that_need_quotes_are_read_where_they_exist(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    _change(bottube_path, 'ALTER TABLE gpu_jobs RENAME TO "order"')
    _change(bottube_path, 'ALTER TABLE "order" RENAME COLUMN status TO "group"')
    tree["queue"] |= {"table": "order", "status_column": "group"}
    del tree["pipeline"]["encode"]
    document = document_of(cycle_of(tmp_path, tree))
    assert document["sections"]["queue"]["status"] == "ok"
    assert document["queue"]["depth"] == 16
