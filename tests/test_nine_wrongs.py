"""What is wrong with the page that BoTTube has today: a test for each that would catch it here.

1. It counts a status that never occurs, so that "queued" always shows 0.
2. Each worker process has its own latency buffer.
3. The page measures itself.
4. Every view probes all nodes and runs all queries.
5. Every failed query becomes 0; a node that refuses shows "0 ms".
6. Clicks are counted as impressions, feed buckets appear as variants, names are cut alike.
7. "Queue depth percentile" is a word, "avg encode time" is a dash.
8. The self-refresh updates the nodes only.
9. There is no yesterday.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from config import Config
from daemon.cycle import Cycle
from daemon.recording import Recorder
from daemon.samplers import build_samplers
from store.codec import Document, encode
from store.engines import open_writer
from store.times import iso_utc
from store.writing import Snapshot, commit
from tests.support.configuring import bottube_tree, load_tree
from tests.support.markup import Element, parse
from tests.support.rows import empty_platform, insert, rows_of
from tests.support.sampling import assert_fit_for_the_public, cycle_of, document_of, now_ms
from tests.support.servers import (
    RawServer,
    hangs,
    hangs_up_at_once,
    healthy,
    refused_url,
)
from web.app import create_app


@pytest.fixture
def log(tmp_path: Path, log_line: Callable[..., str]) -> Path:
    path = tmp_path / "access.log"
    path.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    return path


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    return empty_platform(tmp_path / "edges.db")


def _config(tmp_path: Path, sqlite_url: str, observed: Path, **more: Any) -> Config:
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{observed}", **more)
    return load_tree(tmp_path / "opsnap.toml", tree)


def _recorded(config: Config) -> Document:
    """Take one snapshot into the store, as the daemon does, and return its document."""
    tick = Recorder(config, open_writer(config.store.url)).tick()
    assert tick is not None
    answer = _visitor(config).get("/api/engineering")
    document: Document = answer.get_json()
    return document


def _visitor(config: Config) -> FlaskClient:
    return create_app(config).test_client()


def _page(visitor: FlaskClient, address: str = "/engineering") -> Element:
    return parse(visitor.get(address).get_data(as_text=True))


def test_wrong_1_jobs_that_wait_are_counted_by_the_states_that_occur(
    tmp_path: Path, sqlite_url: str, bottube_path: Path
) -> None:
    states = [row["status"] for row in rows_of(bottube_path, "gpu_jobs")]
    assert "queued" not in states
    waiting = states.count("pending") + states.count("claimed")
    assert waiting > 0
    document = _recorded(_config(tmp_path, sqlite_url, bottube_path))
    assert document["queue"]["queued"] == waiting
    assert document["queue"]["depth"] == waiting + states.count("running")


def test_wrong_2_all_workers_requests_are_in_the_figures_and_all_visitors_see_the_same(
    tmp_path: Path,
    sqlite_url: str,
    platform: Path,
    log_line: Callable[..., str],
) -> None:
    # Two workers append to the one access log: one has fast requests only, the other slow ones.
    log = tmp_path / "access.log"
    log.write_text(log_line(duration_us=8_000) * 50 + log_line(duration_us=486_000) * 50)
    config = _config(tmp_path, sqlite_url, platform, log_path=log)
    _recorded(config)
    # Two web processes, each asked twice: four times the same answer.
    seen = [
        visitor.get("/api/engineering").get_json()["latency"]
        for visitor in (_visitor(config), _visitor(config))
        for _ in range(2)
    ]
    assert all(latency == seen[0] for latency in seen)
    assert seen[0]["samples"] == 100
    assert seen[0]["p50"] == pytest.approx(8.0, rel=0.001)
    assert seen[0]["p99"] == pytest.approx(486.0, rel=0.001)


@pytest.mark.parametrize("prefix", ["", "/ops"])
def test_wrong_3_the_pages_own_requests_are_in_no_figure(
    tmp_path: Path, sqlite_url: str, platform: Path, log_line: Callable[..., str], prefix: str
) -> None:
    log = tmp_path / "access.log"
    own = [f"{prefix}/engineering", f"{prefix}/api/engineering?at=-7d", "/health"]
    log.write_text(log_line("/api/feed", 5_000) + "".join(log_line(p, 900_000) for p in own))
    tree = bottube_tree(
        store_url=sqlite_url,
        observed_url=f"sqlite:///{platform}",
        log_path=log,
        health_url=refused_url(),
    )
    tree["web"]["url_prefix"] = prefix
    for rules in tree["latency"]["classes"]:
        # Even where the operator has excluded nothing.
        rules.pop("exclude", None)
        rules.pop("include", None)
    cycle = cycle_of(tmp_path, tree)
    first = document_of(cycle)
    with log.open("a") as more:
        more.write("".join(log_line(path, 900_000) for path in own))
    tick = cycle.run(now_ms())
    assert tick is not None
    for name in ("latency", "latency_admin"):
        assert (first[name]["samples"], first[name]["max"]) == (1, 5.0)
        assert tick.sections[name].values["samples"] == 1
        assert tick.snapshot.intervals[name].histogram.count == 0


def test_wrong_4_a_view_probes_no_node_asks_no_health_and_opens_no_database(
    tmp_path: Path, sqlite_url: str
) -> None:
    with (
        RawServer(hangs) as node,
        RawServer(healthy()) as health,
        RawServer(hangs_up_at_once) as database,
    ):
        tree = bottube_tree(
            store_url=sqlite_url,
            # A PostgreSQL that would count every attempt to query it.
            observed_url=f"postgresql+psycopg://opsnap@127.0.0.1:{database.port}/bottube",
            node_urls=(node.url,),
            health_url=health.url,
        )
        tree["nodes"][0]["timeout_s"] = 0.2
        config = load_tree(tmp_path / "opsnap.toml", tree)
        _recorded(config)
        sampled = [server.connections for server in (node, health, database)]
        assert min(sampled) > 0, "the daemon's tick was not counted: the test would show nothing"
        visitor = _visitor(config)
        began = time.perf_counter()
        for path in ("/engineering", "/api/engineering", "/api/engineering?at=now") * 100:
            assert visitor.get(path).status_code == 200
        took_s = time.perf_counter() - began
        viewed = [server.connections for server in (node, health, database)]
    assert viewed == sampled
    assert took_s < 10, "a node that hangs held the views"


def test_wrong_5_what_failed_is_unknown_with_a_reason_and_never_zero(
    tmp_path: Path, sqlite_url: str, platform: Path
) -> None:
    with sqlite3.connect(platform) as connection:
        for table in ("videos", "gpu_jobs", "feed_impressions", "video_renditions"):
            connection.execute(f"DROP TABLE {table}")
    connection.close()
    config = _config(tmp_path, sqlite_url, platform, node_urls=(refused_url(),))
    document = _recorded(config)
    node = document["nodes"][0]
    assert (node["status"], node["reason"], node["rtt_ms"]) == ("err", "refused", None)
    assert document["state"]["videos"] is None
    assert document["sections"]["state"]["missing"]["videos"] == "no_table"
    assert document["state"]["agents"] == 0, "an empty table is a count, not a failure"
    assert set(document["queue"].values()) == {None}
    assert document["sections"]["queue"]["reason"] == "no_table"
    assert document["outcomes"] == {}
    assert document["sections"]["outcomes"]["status"] == "error"
    assert document["pipeline"]["renditions"] is None
    assert_fit_for_the_public(document, str(tmp_path), "DROP", "SELECT")

    page = _page(_visitor(config))
    (row,) = page.by_id("panel-nodes").rows()
    assert any("connection refused" in cell for cell in row)
    assert not any("0 ms" in cell for cell in row)
    figures = page.by_id("panel-state").figures()
    assert figures["Videos"].startswith("—")
    assert figures["Agents"] == "0"
    queue = page.by_id("panel-queue").figures()
    assert {name: text[0] for name, text in queue.items()} == dict.fromkeys(queue, "—")


def test_wrong_6_an_experiment_counts_impressions_of_plain_variants_under_its_whole_name(
    tmp_path: Path, sqlite_url: str, platform: Path
) -> None:
    # Five tests whose ids begin alike, with one impression more each; clicks and the feed's
    # buckets in the same table.
    now_s = time.time() - 60
    events: list[tuple[str, str, str]] = []
    for number in range(1, 6):
        video = f"v0000123{number}xx"
        events += [(video, "A", "impression")] * number + [(video, "B", "impression")]
        events += [(video, "A", "click")] * 7
        events += [(video, "feed:hybrid-v1", "feed_impression")] * 9
    insert(
        platform,
        "variant_impressions",
        *(
            {"video_id": video, "variant_key": key, "event_type": event, "created_at": now_s}
            for video, key, event in events
        ),
    )
    config = _config(tmp_path, sqlite_url, platform)
    expected = [(f"thumb-ab:v0000123{n}xx", 2, n + 1) for n in (5, 4, 3, 2, 1)]
    document = _recorded(config)
    assert [(e["name"], e["variants"], e["impressions"]) for e in document["experiments"]] == (
        expected
    )
    page = _page(_visitor(config))
    shown = page.by_id("panel-experiments").rows()
    assert [(name, int(n), int(m)) for name, n, m in shown] == expected


def test_wrong_7_depth_percentile_and_average_encode_are_numbers(
    tmp_path: Path, sqlite_url: str, platform: Path
) -> None:
    now_s = int(time.time())
    job = {"job_type": "transcode", "created_at": now_s - 200}
    insert(
        platform,
        "gpu_jobs",
        {**job, "id": "waits", "status": "pending"},
        {**job, "id": "one", "status": "completed", "started_at": now_s - 90}
        | {"completed_at": now_s - 30},
        {**job, "id": "two", "status": "completed", "started_at": now_s - 50}
        | {"completed_at": now_s - 20},
    )
    config = _config(tmp_path, sqlite_url, platform)
    # 100 stored depths: 60 below the present one of 1, 30 equal to it, 10 above.
    depths = [0] * 60 + [1] * 30 + [9] * 10
    _store_depths(config, depths)
    document = _recorded(config)
    assert document["queue"]["depth"] == 1
    assert document["queue"]["depth_percentile"] == 60 + 30 / 2
    assert document["pipeline"]["avg_encode_s"] == (60 + 30) / 2
    page = _page(_visitor(config))
    assert "75" in page.by_id("panel-queue").figures()["Depth percentile"]
    assert page.by_id("panel-pipeline").figures()["Average encode"].startswith("45")


def _store_depths(config: Config, depths: list[int]) -> None:
    """Store a snapshot of each depth, one an interval, the last an interval ago."""
    engine, interval_ms = open_writer(config.store.url), config.schedule.interval_s * 1000
    first_ms = now_ms() - (len(depths) + 1) * interval_ms
    for number, depth in enumerate(depths):
        taken_at_ms = first_ms + number * interval_ms
        document = {
            "taken_at": iso_utc(taken_at_ms),
            "queue": {"depth": depth},
            "sections": {"queue": {"status": "ok", "sampled_at": iso_utc(taken_at_ms)}},
        }
        commit(engine, Snapshot("test", taken_at_ms, interval_ms, encode(document), {}))
    engine.dispose()


def test_wrong_8_every_section_of_the_document_is_a_part_of_the_page_that_renews_itself(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log: Path
) -> None:
    with RawServer(healthy()) as node:
        config = _config(
            tmp_path,
            sqlite_url,
            bottube_path,
            log_path=log,
            node_urls=(node.url,),
            health_url=node.url,
        )
        document = _recorded(config)
    page = _page(_visitor(config))
    live = {e.attributes["id"]: e for e in page.walk() if "data-live" in e.attributes}
    assert live.keys() == {
        "overall",
        "now",
        "moments",
        "incidents",
        "foot",
        *(f"panel-{name}" for name in document["sections"]),
    }
    # Nothing that has a number of the snapshot stands outside of them.
    (main,) = page.all("main")
    panels = [child for child in main.children if isinstance(child, Element)]
    assert [
        panel.attributes.get("id") for panel in panels if panel.attributes["id"] not in live
    ] == []
    for name, key in (("state", "videos"), ("queue", "depth"), ("latency", "samples")):
        assert f"{document[name][key]:,}" in live[f"panel-{name}"].text


def test_wrong_9_yesterday_is_on_record_as_it_was(
    tmp_path: Path, sqlite_url: str, platform: Path
) -> None:
    insert(platform, "videos", {"video_id": "one", "agent_id": 1, "created_at": 0})
    config = _config(tmp_path, sqlite_url, platform)
    yesterday_ms = now_ms() - 86_400_000
    tick = Cycle(config, build_samplers(config)).run(yesterday_ms)
    assert tick is not None
    engine = open_writer(sqlite_url)
    commit(engine, tick.snapshot)
    engine.dispose()
    insert(platform, "videos", {"video_id": "two", "agent_id": 1, "created_at": 0})
    today = _recorded(config)
    visitor = _visitor(config)
    past = visitor.get(f"/api/engineering?at={yesterday_ms / 1000 + 5}")
    assert past.get_data(as_text=True) == tick.snapshot.document
    assert past.get_json()["taken_at"] == iso_utc(yesterday_ms)
    assert (past.get_json()["state"]["videos"], today["state"]["videos"]) == (1, 2)
    page = _page(visitor, "/engineering?at=-23h")
    assert page.by_id("panel-state").figures()["Videos"] == "1"
