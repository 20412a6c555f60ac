"""Rows of one's own at the edges of what each panel counts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from store.codec import Document
from tests.support.configuring import bottube_tree
from tests.support.rows import empty_platform, insert, writing
from tests.support.sampling import cycle_of, document_of

DAY_S = 86_400
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    return empty_platform(tmp_path / "bottube.db")


@pytest.fixture
def document(tmp_path: Path, sqlite_url: str, platform: Path) -> Callable[..., Document]:
    def sample(change: Change = lambda _tree: None) -> Document:
        tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{platform}")
        change(tree)
        return document_of(cycle_of(tmp_path, tree))

    return sample


def _job(number: int, status: str, **more: Any) -> dict[str, Any]:
    now_s = int(time.time())
    return {
        "id": f"job-{number}",
        "job_type": "video_render",
        "status": status,
        "created_at": now_s - 100,
        **more,
    }


def test_an_empty_platform_has_counts_of_zero_and_no_invented_ratio(
    document: Callable[..., Document],
) -> None:
    found = document()
    state = {name: found["state"][name] for name in ("videos", "agents", "humans", "comments")}
    assert state == {"videos": 0, "agents": 0, "humans": 0, "comments": 0}
    assert (found["queue"]["depth"], found["queue"]["depth_label"]) == (0, "idle")
    assert found["queue"]["oldest_queued_s"] is None
    assert (found["outcomes"], found["sections"]["outcomes"]["reason"]) == ({}, "no_samples")
    assert (found["experiments"], found["sections"]["experiments"]["reason"]) == ([], "no_samples")
    assert found["pipeline"]["avg_encode_s"] is None
    assert found["sections"]["pipeline"]["missing"]["avg_encode_s"] == "no_samples"
    assert found["sections"]["pipeline"]["status"] == "ok"


def test_a_video_is_removed_by_one_and_neither_by_zero_nor_by_null(
    platform: Path, document: Callable[..., Document]
) -> None:
    insert(
        platform,
        "videos",
        *(
            {"video_id": f"v{i}", "agent_id": 1, "created_at": 0, "is_removed": removed}
            for i, removed in enumerate([0, 1, None, None])
        ),
    )
    assert document()["state"]["videos"] == 3


def test_an_old_tip_without_a_status_is_confirmed(
    platform: Path, document: Callable[..., Document]
) -> None:
    states = ["confirmed", None, "pending", "voided", None]
    insert(platform, "tips", *({"amount": 1, "status": status} for status in states))
    assert document()["state"]["tips_confirmed"] == 3


def test_a_provenance_without_a_hash_is_not_anchored(
    platform: Path, document: Callable[..., Document]
) -> None:
    hashes = ["", None, "ab" * 32]
    insert(
        platform,
        "video_provenance",
        *({"video_id": "v", "anchor_tx_hash": one} for one in hashes),
    )
    pipeline = document()["pipeline"]
    assert (pipeline["with_provenance"], pipeline["anchored"]) == (3, 1)


def test_not_clicked_is_zero_as_well_as_null_and_watch_time_is_of_clicks_alone(
    platform: Path, document: Callable[..., Document]
) -> None:
    now_s = time.time()
    clicks = [(0, 99.0), (None, 99.0), (now_s - 5, 10.0), (now_s - 4, 0.0), (now_s - 3, None)]
    insert(
        platform,
        "feed_impressions",
        *(
            {
                "impression_id": f"imp_{i}",
                "visitor_id": "v",
                "surface": "feed_api",
                "bucket": "hybrid-v1",
                "video_id": "v",
                "position": 0,
                "created_at": now_s - 60,
                "clicked_at": clicked_at,
                "watch_seconds": watched_s,
            }
            for i, (clicked_at, watched_s) in enumerate(clicks)
        ),
    )
    assert document()["outcomes"] == {
        "hybrid-v1": {"impressions": 5, "clicks": 3, "ctr": 0.6, "mean_watch_s": 5.0}
    }


def test_a_bucket_without_a_click_has_a_ratio_of_zero_and_no_mean_watch_time(
    platform: Path, document: Callable[..., Document]
) -> None:
    insert(
        platform,
        "feed_impressions",
        {
            "impression_id": "imp_1",
            "visitor_id": "v",
            "surface": "feed_api",
            "bucket": "latest",
            "video_id": "v",
            "position": 0,
            "created_at": time.time() - 60,
        },
    )
    assert document()["outcomes"] == {
        "latest": {"impressions": 1, "clicks": 0, "ctr": 0.0, "mean_watch_s": None}
    }


def test_only_plain_keys_and_impressions_are_thumbnail_experiments(
    platform: Path, document: Callable[..., Document]
) -> None:
    recent, old = time.time() - 60, time.time() - 8 * DAY_S
    events = [
        ("one", "A", "impression", recent),
        ("one", "B", "impression", recent),
        ("one", "B", "click", recent),
        ("one", "C", "click", recent),
        ("one", "D", "impression", old),
        ("two", "feed:latest", "feed_impression", recent),
        ("two", "feed:latest", "impression", recent),
        ("two", "FEED:up", "impression", recent),
        ("three", "A", "feed_impression", recent),
    ]
    insert(
        platform,
        "variant_impressions",
        *(
            {"video_id": video, "variant_key": key, "event_type": event, "created_at": at}
            for video, key, event, at in events
        ),
    )
    assert document()["experiments"] == [
        {"name": "thumb-ab:one", "variants": 2, "impressions": 2},
        {"name": "thumb-ab:two", "variants": 1, "impressions": 1},
    ]


def test_a_day_ends_after_twenty_four_hours(
    platform: Path, document: Callable[..., Document]
) -> None:
    now_s = int(time.time())
    just_within, just_beyond = now_s - DAY_S + 30, now_s - DAY_S - 30
    insert(
        platform,
        "gpu_jobs",
        _job(1, "completed", started_at=just_within - 60, completed_at=just_within),
        _job(2, "completed", started_at=just_beyond - 600, completed_at=just_beyond),
        _job(3, "failed", started_at=just_within - 60, completed_at=just_within),
        _job(4, "failed", started_at=just_beyond - 60, completed_at=just_beyond),
        _job(5, "cancelled", completed_at=just_within),
    )
    found = document()
    assert (found["queue"]["completed_24h"], found["queue"]["failed_24h"]) == (1, 1)
    assert (found["pipeline"]["avg_encode_s"], found["pipeline"]["encode_jobs"]) == (60.0, 1)


def test_a_failed_job_that_went_back_to_pending_waits_and_has_not_failed(
    platform: Path, document: Callable[..., Document]
) -> None:
    now_s = int(time.time())
    insert(
        platform,
        "gpu_jobs",
        _job(1, "pending", started_at=now_s - 80, completed_at=now_s - 20),
        _job(2, "claimed", created_at=now_s - 500, claimed_at=now_s - 20),
        _job(3, "running", started_at=now_s - 10),
    )
    queue = document()["queue"]
    assert (queue["queued"], queue["running"], queue["failed_24h"]) == (2, 1, 0)
    assert queue["oldest_queued_s"] == pytest.approx(500, abs=5)


def test_an_encode_counts_when_it_has_a_start_an_end_and_the_right_kind(
    platform: Path, document: Callable[..., Document]
) -> None:
    now_s = int(time.time())
    times = {"started_at": now_s - 90, "completed_at": now_s - 10}
    insert(
        platform,
        "gpu_jobs",
        _job(1, "completed", **times),
        _job(2, "completed", **{**times, "started_at": now_s - 50}, job_type="transcode"),
        _job(3, "completed", completed_at=now_s - 10),
        _job(4, "completed", **{**times, "started_at": 0}),
        _job(5, "completed", **{**times, "started_at": now_s - 5_000}, job_type="image_gen"),
        _job(6, "failed", **times),
        _job(7, "running", started_at=now_s - 90),
    )
    pipeline = document()["pipeline"]
    assert (pipeline["avg_encode_s"], pipeline["encode_jobs"]) == (60.0, 2)


def test_an_encode_that_ended_before_it_began_makes_no_average(
    platform: Path, document: Callable[..., Document]
) -> None:
    now_s = int(time.time())
    insert(
        platform,
        "gpu_jobs",
        _job(1, "completed", started_at=now_s - 90, completed_at=now_s - 10),
        _job(2, "completed", started_at=now_s - 10, completed_at=now_s - 90),
    )
    found = document()
    assert found["pipeline"]["avg_encode_s"] is None
    assert found["sections"]["pipeline"]["missing"]["avg_encode_s"] == "bad_value"
    assert found["pipeline"]["renditions"] == 0


def test_a_job_from_the_future_has_no_age(
    platform: Path, document: Callable[..., Document]
) -> None:
    insert(platform, "gpu_jobs", _job(1, "pending", created_at=int(time.time()) + 3_600))
    found = document()
    assert found["queue"]["queued"] == 1
    assert found["queue"]["oldest_queued_s"] is None
    assert found["sections"]["queue"]["missing"]["oldest_queued_s"] == "bad_value"


def test_the_second_generation_queue_has_other_words_and_zero_for_not_yet(
    tmp_path: Path, platform: Path, document: Callable[..., Document]
) -> None:
    now_s = time.time()
    with writing(platform) as connection:
        connection.execute(
            "CREATE TABLE generation_jobs (id INTEGER PRIMARY KEY, status TEXT,"
            " created_at REAL, completed_at REAL DEFAULT 0)"
        )
    states = ["queued", "routing", "submitted", "generating", "completed", "failed", "canceled"]
    insert(
        platform,
        "generation_jobs",
        *(
            {
                "status": status,
                "created_at": now_s - 50,
                "completed_at": now_s - 9 if status in ("completed", "failed") else 0,
            }
            for status in [*states, "queued"]
        ),
    )

    def watch_the_newer_queue(tree: dict[str, Any]) -> None:
        tree["queue"] = {
            "table": "generation_jobs",
            "queued": ["queued"],
            "running": ["routing", "submitted", "generating", "assembling"],
            "completed": ["completed"],
            "failed": ["failed", "canceled"],
        }

    queue = document(watch_the_newer_queue)["queue"]
    assert (queue["queued"], queue["running"]) == (2, 3)
    assert (queue["completed_24h"], queue["failed_24h"]) == (1, 1)


@pytest.mark.parametrize("times", ["epoch_ms", "datetime"])
def test_times_in_milliseconds_and_as_date_times_mean_the_same(
    tmp_path: Path, sqlite_url: str, times: str
) -> None:
    path = empty_platform(tmp_path / "other.db")
    now_s = time.time()

    def kept(at_s: float) -> object:
        if times == "epoch_ms":
            return int(at_s * 1000)
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")

    insert(
        path,
        "gpu_jobs",
        _job(1, "pending", created_at=kept(now_s - 300)),
        _job(
            2,
            "completed",
            created_at=kept(now_s - 300),
            started_at=kept(now_s - 130),
            completed_at=kept(now_s - 10),
        ),
        _job(
            3,
            "completed",
            created_at=kept(now_s - 3 * DAY_S),
            started_at=kept(now_s - 2 * DAY_S),
            completed_at=kept(now_s - 2 * DAY_S + 9),
        ),
    )
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{path}")
    tree["observed"]["times"] = times
    found = document_of(cycle_of(tmp_path, tree))
    assert (found["queue"]["queued"], found["queue"]["completed_24h"]) == (1, 1)
    assert found["queue"]["oldest_queued_s"] == pytest.approx(300, abs=5)
    assert found["pipeline"]["avg_encode_s"] == pytest.approx(120, abs=0.1)
