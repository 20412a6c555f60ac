"""The document's form, version 1, and what is worked out from earlier snapshots."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cycle import Cycle
from daemon.depth_history import DepthHistory
from daemon.recording import Recorder
from daemon.reporting import SourceLog
from store.codec import Document, encode
from store.engines import open_writer
from store.times import iso_utc, parse_iso_ms
from store.writing import Snapshot, commit
from tests.support.configuring import bottube_tree, load_tree
from tests.support.rows import empty_platform, insert
from tests.support.sampling import cycle_of, document_of, now_ms
from tests.support.servers import RawServer, healthy, refused_url

INTERVAL_MS = 30_000
DAY_MS = 86_400_000
#: 20 November 2026, 10:13:30 UTC, in Unix milliseconds.
AT_MS = 1_795_169_610_000


@pytest.fixture
def full(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> Iterator[dict[str, Any]]:
    """A configuration with every section over sources that are fine."""
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    with RawServer(healthy()) as server:
        yield bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            log_path=log,
            node_urls=(server.url, server.url),
            health_url=server.url,
        )


#: Every key that the contract names, section by section; more may stand beside them.
HEAD = {"ok", "schema", "source", "interval_s", "taken_at", "expires_at", "generated_at"}
LATENCY_KEYS = {
    *("p50", "p95", "p99", "max", "samples", "errors", "lost"),
    *("window", "oldest_s", "ceiling_ms", "p95_bar"),
}
KEYS: dict[str, set[str]] = {
    "platform": {"name", "region", "description"},
    "latency": LATENCY_KEYS,
    "latency_admin": LATENCY_KEYS,
    "state": {
        *("videos", "agents", "humans", "tips_confirmed", "comments"),
        *("uptime", "uptime_s", "version"),
    },
    "queue": {
        *("queued", "running", "completed_24h", "failed_24h"),
        *("depth", "depth_label", "depth_percentile", "oldest_queued_s"),
    },
    "pipeline": {
        *("canonical_format", "renditions", "with_provenance", "anchored", "avg_encode_s"),
    },
}


def test_the_document_has_every_key_of_version_1_with_a_value_of_its_kind(
    tmp_path: Path, full: dict[str, Any]
) -> None:
    document = document_of(cycle_of(tmp_path, full), AT_MS)
    assert {key: document[key] for key in HEAD} == {
        "ok": True,
        "schema": 1,
        "source": "test",
        "interval_s": 30,
        "taken_at": "2026-11-20T10:13:30.000Z",
        "expires_at": "2026-11-20T10:15:00.000Z",
        "generated_at": "2026-11-20 10:13:30 UTC",
    }
    for section, keys in KEYS.items():
        assert keys <= document[section].keys(), section
    sections = {"nodes", "outcomes", "experiments", *KEYS} - {"platform"}
    assert document.keys() == HEAD | {"platform", "sections"} | sections
    assert document["sections"].keys() == sections
    for section in document["sections"].values():
        assert {"status", "sampled_at", "took_ms", "reason"} <= section.keys()
    for node in document["nodes"]:
        assert {"id", "location", "status", "rtt_ms", "reason", "phases_ms"} <= node.keys()
        assert node["phases_ms"].keys() == {"dns", "connect", "tls", "first_byte"}
    for outcome in document["outcomes"].values():
        assert outcome.keys() == {"impressions", "clicks", "ctr", "mean_watch_s"}
        assert outcome["ctr"] == pytest.approx(outcome["clicks"] / outcome["impressions"], abs=1e-6)
    for experiment in document["experiments"]:
        assert experiment.keys() == {"name", "variants", "impressions"}
    # The seed page's clients read plain numbers there.
    plain = [("state", "videos"), ("state", "agents"), ("state", "humans"), ("queue", "depth")]
    assert all(type(document[section][key]) is int for section, key in plain)
    assert type(document["latency"]["p95"]) is float


def test_a_snapshot_expires_after_three_intervals_and_its_times_agree(
    tmp_path: Path, full: dict[str, Any]
) -> None:
    full["schedule"] = {"interval_s": 10}
    full["observed"]["query_timeout_s"] = 1.0
    taken_at_ms = now_ms()
    document = document_of(cycle_of(tmp_path, full), taken_at_ms)
    assert parse_iso_ms(document["taken_at"]) == taken_at_ms
    assert parse_iso_ms(document["expires_at"]) == taken_at_ms + 30_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", document["generated_at"])
    assert document["generated_at"][:19] == document["taken_at"][:19].replace("T", " ")


def test_every_value_that_is_a_time_is_utc_with_milliseconds(
    tmp_path: Path, full: dict[str, Any]
) -> None:
    document = document_of(cycle_of(tmp_path, full))
    times = [document["taken_at"], document["expires_at"]]
    times += [section["sampled_at"] for section in document["sections"].values()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)


@pytest.mark.parametrize(
    ("depths", "depth", "rank"),
    [
        # Mid-rank: 100 * (those below + half of those equal) / all.
        ([0] * 60 + [3] * 30 + [9] * 10, 3, 75.0),
        ([0] * 60 + [3] * 30 + [9] * 10, 0, 30.0),
        ([0] * 60 + [3] * 30 + [9] * 10, 9, 95.0),
        ([0] * 60 + [3] * 30 + [9] * 10, 5, 90.0),
        ([7] * 100, 7, 50.0),
        ([7] * 100, 8, 100.0),
        ([7] * 100, 6, 0.0),
        (list(range(100)), 99, 99.5),
        ([7] * 99, 7, None),
        ([], 7, None),
    ],
)
def test_the_depths_rank_is_the_mid_rank_among_a_hundred_or_more(
    depths: list[int], depth: int, rank: float | None
) -> None:
    history = DepthHistory()
    for number, one in enumerate(depths):
        history.add(AT_MS - (len(depths) - number) * INTERVAL_MS, one)
    assert history.percentile_rank(depth, AT_MS) == rank


def test_depths_of_more_than_seven_days_ago_do_not_count() -> None:
    history = DepthHistory()
    for number in range(200):
        history.add(AT_MS - 7 * DAY_MS - (200 - number), 1000)
    for number in range(100):
        history.add(AT_MS - 7 * DAY_MS + number, 0)
    assert history.percentile_rank(1, AT_MS) == 100.0


def _stored_depth(taken_at_ms: int, depth: int | None, status: str = "ok") -> Document:
    return {
        "taken_at": iso_utc(taken_at_ms),
        "queue": {"depth": depth},
        "sections": {"queue": {"status": status, "sampled_at": iso_utc(taken_at_ms)}},
    }


@pytest.fixture
def queue_of_three(tmp_path: Path, sqlite_url: str) -> dict[str, Any]:
    path = empty_platform(tmp_path / "edges.db")
    job = {"job_type": "transcode", "status": "pending", "created_at": now_ms() // 1000 - 60}
    insert(path, "gpu_jobs", *({**job, "id": str(number)} for number in range(3)))
    return bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{path}")


def test_the_rank_is_among_the_stored_snapshots_of_this_source_after_a_restart(
    tmp_path: Path, queue_of_three: dict[str, Any], sqlite_url: str
) -> None:
    engine, start_ms = open_writer(sqlite_url), now_ms() - 300 * INTERVAL_MS
    stored = [
        # 40 below the present 3, 40 equal, 20 above; what was only carried or unknown, what is
        # too old, and what another daemon stored does not count.
        *((number, depth, "ok") for number, depth in enumerate([1] * 40 + [3] * 40 + [8] * 20)),
        *((100 + number, 999, "stale") for number in range(50)),
        *((150 + number, None, "error") for number in range(50)),
    ]
    rows = [(start_ms + n * INTERVAL_MS, depth, status, "test") for n, depth, status in stored]
    rows += [(start_ms - 8 * DAY_MS + n * INTERVAL_MS, 0, "ok", "test") for n in range(120)]
    rows += [(start_ms + n * INTERVAL_MS, 0, "ok", "another") for n in range(120)]
    for taken_at_ms, depth, status, source in sorted(rows, key=lambda row: row[0]):
        text = encode(_stored_depth(taken_at_ms, depth, status))
        commit(engine, Snapshot(source, taken_at_ms, 1, text, {}))
    config = load_tree(tmp_path / "opsnap.toml", queue_of_three)
    tick = Recorder(config, engine).tick()
    assert tick is not None
    queue = tick.sections["queue"].values
    assert (queue["depth"], queue["depth_percentile"]) == (3, 40 + 40 / 2)
    engine.dispose()


def test_the_rank_is_unknown_until_a_hundred_snapshots_are_stored(
    tmp_path: Path, queue_of_three: dict[str, Any]
) -> None:
    cycle = cycle_of(tmp_path, queue_of_three)
    at_ms = now_ms()
    for number in range(99):
        cycle.remember_depth(at_ms + number, _stored_depth(at_ms + number, 5))
    tick = cycle.run(at_ms + 100)
    assert tick is not None
    assert tick.sections["queue"].values["depth_percentile"] is None
    assert tick.sections["queue"].status == "ok"
    assert tick.sections["queue"].missing == {"depth_percentile": "no_samples"}
    cycle.stored(tick)
    # The hundredth is the tick's own, of depth 3, once it is stored: 0.5 of 100 at or below.
    assert document_of(cycle, at_ms + 200)["queue"]["depth_percentile"] == 0.5


def _report(cycle: Cycle, sources: SourceLog, ticks: int) -> None:
    for _ in range(ticks):
        tick = cycle.run(now_ms())
        assert tick is not None
        sources.report(tick.sections)


def test_a_source_that_stays_broken_is_told_once_and_once_when_it_mends(
    tmp_path: Path,
    full: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    log_line: Callable[..., str],
) -> None:
    caplog.set_level(logging.INFO)
    log = tmp_path / "access.log"
    log.unlink()
    full["nodes"][1]["url"] = refused_url()
    full["state"]["counts"]["gone"] = "SELECT COUNT(*) FROM gone"
    cycle, sources = cycle_of(tmp_path, full), SourceLog()
    _report(cycle, sources, 4)
    log.write_text(log_line())
    _report(cycle, sources, 3)
    told = [
        (record.levelname, record.getMessage().split(":")[:2])
        for record in caplog.records
        if record.name == "opsnap.daemon"
    ]
    broken = [words for level, words in told if level == "WARNING"]
    mended = [words for level, words in told if level == "INFO"]
    assert sorted(broken) == [
        ["latency", " broken"],
        ["latency_admin", " broken"],
        ["nodes.node-2", " broken"],
        ["state.gone", " broken"],
    ]
    assert sorted(name for name, _ in mended) == ["latency", "latency_admin"]
    assert all(" mended after 4 tick(s)" in words for _, words in mended)


def test_a_source_whose_fault_changes_is_told_again(
    tmp_path: Path, full: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "access.log"
    log.unlink()
    cycle, sources = cycle_of(tmp_path, full), SourceLog()
    _report(cycle, sources, 2)
    log.mkdir()
    _report(cycle, sources, 2)
    told = [m for m in caplog.messages if m.startswith("latency: broken")]
    assert [message.split(": ")[2] for message in told] == ["no_file", "unreadable"]
