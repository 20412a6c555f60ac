"""Every panel of a filled platform, against the same worked out in Python over its rows."""

import time
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from daemon.samplers.health import uptime_words
from daemon.samplers.queue import depth_label
from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.rows import rows_of
from tests.support.sampling import cycle_of, document_of, statuses
from tests.support.servers import RawServer, healthy

DAY_S = 86_400


@pytest.fixture
def document(tmp_path: Path, sqlite_url: str, bottube_path: Path) -> Document:
    """The document of one tick over the filled platform."""
    with RawServer(healthy()) as health:
        tree = bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            health_url=health.url,
        )
        found = document_of(cycle_of(tmp_path, tree))
    wanted = ("state", "queue", "outcomes", "experiments", "pipeline")
    assert {name: statuses(found)[name] for name in wanted} == dict.fromkeys(wanted, "ok")
    return found


def test_state_is_the_rows_counted_one_by_one(document: Document, bottube_path: Path) -> None:
    videos, agents = rows_of(bottube_path, "videos"), rows_of(bottube_path, "agents")
    tips = rows_of(bottube_path, "tips")
    assert {row["is_removed"] for row in videos} == {0, 1, None}
    assert None in {row["status"] for row in tips}
    assert document["state"] == {
        "videos": sum(not row["is_removed"] for row in videos),
        "agents": sum(row["is_human"] != 1 for row in agents),
        "humans": sum(row["is_human"] == 1 for row in agents),
        "tips_confirmed": sum(row["status"] in ("confirmed", None) for row in tips),
        "comments": len(rows_of(bottube_path, "comments")),
        "uptime": "3d 4h",  # 274,000 s are 3 days, 4 hours, 6 minutes and 40 seconds
        "uptime_s": 274_000,
        "version": "1.2.0",
    }


def test_queue_is_the_jobs_counted_one_by_one(document: Document, bottube_path: Path) -> None:
    jobs, now_s = rows_of(bottube_path, "gpu_jobs"), time.time()
    waiting = [row for row in jobs if row["status"] in ("pending", "claimed")]
    running = [row for row in jobs if row["status"] == "running"]

    def ended_today(status: str) -> int:
        since_s = now_s - DAY_S
        return sum(row["status"] == status and row["completed_at"] >= since_s for row in jobs)

    queue = document["queue"]
    assert queue["queued"] == len(waiting) == 12
    assert queue["running"] == len(running) == 4
    assert queue["depth"] == 16
    assert queue["depth_label"] == "moderate"
    assert queue["completed_24h"] == ended_today("completed") > 0
    assert queue["failed_24h"] == ended_today("failed") > 0
    oldest_s = now_s - min(row["created_at"] for row in waiting)
    assert queue["oldest_queued_s"] == pytest.approx(oldest_s, abs=5)


def test_outcomes_are_the_impressions_of_seven_days_bucket_by_bucket(
    document: Document, bottube_path: Path
) -> None:
    impressions, since_s = rows_of(bottube_path, "feed_impressions"), time.time() - 7 * DAY_S
    recent = [row for row in impressions if row["created_at"] >= since_s]
    assert 0 < len(recent) < len(impressions), "some are too old to count"
    expected: dict[str, Any] = {}
    for bucket in {row["bucket"] for row in recent}:
        shown = [row for row in recent if row["bucket"] == bucket]
        clicked = [row for row in shown if row["clicked_at"] > 0]
        expected[bucket] = {
            "impressions": len(shown),
            "clicks": len(clicked),
            "ctr": pytest.approx(len(clicked) / len(shown), abs=1e-6),
            "mean_watch_s": pytest.approx(fmean(r["watch_seconds"] for r in clicked), abs=1e-3),
        }
    assert expected.keys() == {"latest", "heuristic", "hybrid-v1"}
    assert document["outcomes"] == expected
    sizes = [outcome["impressions"] for outcome in document["outcomes"].values()]
    assert sizes == sorted(sizes, reverse=True)


def test_experiments_are_the_five_largest_thumbnail_tests(
    document: Document, bottube_path: Path
) -> None:
    since_s = time.time() - 7 * DAY_S
    shown = [
        row
        for row in rows_of(bottube_path, "variant_impressions")
        if row["event_type"] == "impression"
        and not row["variant_key"].startswith("feed:")
        and row["created_at"] >= since_s
    ]
    sizes = Counter(row["video_id"] for row in shown)
    largest = sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
    assert len(sizes) > 5
    assert document["experiments"] == [
        {
            "name": f"thumb-ab:{video}",
            "variants": len({row["variant_key"] for row in shown if row["video_id"] == video}),
            "impressions": impressions,
        }
        for video, impressions in largest
    ]


def test_pipeline_is_its_rows_counted_and_the_mean_of_todays_encodes(
    document: Document, bottube_path: Path
) -> None:
    provenance, since_s = rows_of(bottube_path, "video_provenance"), time.time() - DAY_S
    encodes_s = [
        row["completed_at"] - row["started_at"]
        for row in rows_of(bottube_path, "gpu_jobs")
        if row["job_type"] in ("video_render", "transcode")
        and row["status"] == "completed"
        and row["completed_at"] >= since_s
    ]
    assert document["pipeline"] == {
        "canonical_format": "8 s · 720×720 MP4",
        "renditions": len(rows_of(bottube_path, "video_renditions")),
        "with_provenance": len(provenance),
        "anchored": sum(bool(row["anchor_tx_hash"]) for row in provenance),
        "avg_encode_s": pytest.approx(fmean(encodes_s), abs=0.01),
        "encode_jobs": len(encodes_s),
    }
    assert 0 < document["pipeline"]["anchored"] < len(provenance)


@pytest.mark.parametrize(
    ("depth", "label"),
    [(0, "idle"), (1, "shallow"), (4, "shallow"), (5, "moderate"), (19, "moderate"), (20, "deep")],
)
def test_the_depth_has_the_seed_pages_words(depth: int, label: str) -> None:
    assert depth_label(depth) == label


@pytest.mark.parametrize(
    ("uptime_s", "words"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m 0s"),
        (3_599, "59m 59s"),
        (3_600, "1h 0m"),
        (86_399, "23h 59m"),
        (86_400, "1d 0h"),
        (100 * DAY_S + 7_200, "100d 2h"),
    ],
)
def test_uptime_is_told_in_its_two_largest_units(uptime_s: int, words: str) -> None:
    assert uptime_words(uptime_s) == words
