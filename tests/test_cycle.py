"""One tick after the other: deadlines, values that are carried, values that are dropped."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cycle import Cycle
from daemon.failures import SampleError
from daemon.recording import Recorder
from daemon.sampler import Reading, Sampler
from daemon.samplers import build_samplers
from store.codec import Document, decode
from store.engines import open_writer
from store.times import parse_iso_ms
from tests.support.configuring import bottube_tree, load_tree
from tests.support.rows import writing
from tests.support.sampling import (
    assert_fit_for_the_public,
    cycle_of,
    document_of,
    now_ms,
    statuses,
)
from tests.support.servers import RawServer, hangs, healthy, refused_url

INTERVAL_MS = 30_000
DATABASE_SECTIONS = ("queue", "outcomes", "experiments", "pipeline")
SECTIONS = ("nodes", "latency", "latency_admin", "state", *DATABASE_SECTIONS)


@pytest.fixture
def health() -> Iterator[RawServer]:
    with RawServer(healthy()) as server:
        yield server


@pytest.fixture
def tree(
    tmp_path: Path,
    sqlite_url: str,
    bottube_path: Path,
    health: RawServer,
    log_line: Callable[..., str],
) -> dict[str, Any]:
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    return bottube_tree(
        store_url=sqlite_url,
        observed_url=f"sqlite:///{bottube_path}",
        log_path=log,
        node_urls=(health.url,),
        health_url=health.url,
    )


def _drop_jobs(path: Path) -> None:
    with writing(path) as connection:
        connection.execute("ALTER TABLE gpu_jobs RENAME TO gone")


def _bring_jobs_back(path: Path) -> None:
    with writing(path) as connection:
        connection.execute("ALTER TABLE gone RENAME TO gpu_jobs")


def test_every_section_is_fresh_with_its_own_time_and_duration(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    began_ms = now_ms()
    document = document_of(cycle_of(tmp_path, tree))
    ended_ms = now_ms()
    assert statuses(document) == dict.fromkeys(SECTIONS, "ok")
    for section in document["sections"].values():
        assert section["reason"] is None
        assert began_ms <= parse_iso_ms(section["sampled_at"]) <= ended_ms
        assert 0 <= section["took_ms"] <= ended_ms - began_ms


def test_a_database_that_hangs_delays_no_tick_and_blanks_no_other_section(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    with RawServer(hangs) as server:
        tree["observed"] = {
            "url": f"postgresql+psycopg://opsnap@127.0.0.1:{server.port}/bottube",
            "query_timeout_s": 0.4,
        }
        tree["schedule"]["deadline_s"] = 0.8
        tree["nodes"][0]["timeout_s"] = tree["platform"]["health_timeout_s"] = 0.5
        cycle = cycle_of(tmp_path, tree)
        for _ in range(2):
            began = time.perf_counter()
            document = document_of(cycle)
            took_s = time.perf_counter() - began
            assert took_s < 0.8 + 0.5
            for name in DATABASE_SECTIONS:
                section = document["sections"][name]
                assert (section["status"], section["reason"]) == ("error", "timeout")
            fresh = ("nodes", "latency", "latency_admin")
            assert {statuses(document)[name] for name in fresh} == {"ok"}
            assert document["state"]["version"] == "1.2.0"


def _with(config_path: Path, tree: dict[str, Any], *samplers: Sampler) -> Cycle:
    """A cycle in which `samplers` stand in the place of the real ones of their names."""
    config = load_tree(config_path, tree)
    own = {sampler.name: sampler for sampler in samplers}
    return Cycle(config, [own.get(real.name, real) for real in build_samplers(config)])


def test_a_sampler_that_never_returns_is_a_timeout_in_every_tick_and_has_one_thread(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    tree["schedule"]["deadline_s"] = 0.4
    tree["observed"]["query_timeout_s"] = 0.3
    tree["nodes"][0]["timeout_s"] = tree["platform"]["health_timeout_s"] = 0.3
    released = threading.Event()

    def stands_still() -> dict[str, Reading]:
        released.wait(30)
        raise SampleError("timeout", "released")

    hanging = Sampler("experiments", {"experiments": []}, stands_still)
    cycle = _with(tmp_path / "opsnap.toml", tree, hanging)
    try:
        for _ in range(5):
            began = time.perf_counter()
            document = document_of(cycle)
            assert time.perf_counter() - began < 0.4 + 0.5
            assert document["sections"]["experiments"]["reason"] == "timeout"
            others = {n: s for n, s in statuses(document).items() if n != "experiments"}
            assert others == dict.fromkeys(others, "ok")
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("sampler:experiments") == 1
    finally:
        released.set()


def test_a_fault_of_opsnaps_own_is_internal_and_its_words_are_in_the_log_alone(
    tmp_path: Path, tree: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> dict[str, Reading]:
        raise ZeroDivisionError("at /srv/private/place")

    failing = Sampler("outcomes", {"outcomes": {}}, fails)
    document = document_of(_with(tmp_path / "opsnap.toml", tree, failing))
    section = document["sections"]["outcomes"]
    assert (section["status"], section["reason"]) == ("error", "internal")
    others = {n: s for n, s in statuses(document).items() if n != "outcomes"}
    assert others == dict.fromkeys(others, "ok")
    assert_fit_for_the_public(document, "ZeroDivision", "/srv/private/place")
    assert "/srv/private/place" in caplog.text


def test_a_section_that_fails_carries_its_last_good_values_with_their_own_time(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    cycle, taken_at_ms = cycle_of(tmp_path, tree), now_ms()
    good = document_of(cycle, taken_at_ms)
    _drop_jobs(bottube_path)
    for number in (1, 2, 3):
        broken = document_of(cycle, taken_at_ms + number * INTERVAL_MS)
        section = broken["sections"]["queue"]
        assert (section["status"], section["reason"]) == ("stale", "no_table")
        assert section["sampled_at"] == good["sections"]["queue"]["sampled_at"]
        assert broken["queue"] == good["queue"]
        assert broken["sections"]["outcomes"]["status"] == "ok"
    _bring_jobs_back(bottube_path)
    mended = document_of(cycle, taken_at_ms + 4 * INTERVAL_MS)
    assert mended["sections"]["queue"]["status"] == "ok"
    assert mended["sections"]["queue"]["sampled_at"] > good["sections"]["queue"]["sampled_at"]


def test_carried_values_are_dropped_to_null_after_ten_intervals(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    cycle = cycle_of(tmp_path, tree)
    good = document_of(cycle)
    sampled_at_ms = parse_iso_ms(good["sections"]["queue"]["sampled_at"])
    _drop_jobs(bottube_path)
    tenth = document_of(cycle, sampled_at_ms + 10 * INTERVAL_MS)
    assert tenth["sections"]["queue"]["status"] == "stale"
    assert tenth["queue"] == good["queue"]
    eleventh = document_of(cycle, sampled_at_ms + 10 * INTERVAL_MS + 1)
    section = eleventh["sections"]["queue"]
    assert (section["status"], section["reason"], section["sampled_at"]) == (
        "error",
        "no_table",
        None,
    )
    assert eleventh["queue"] == dict.fromkeys(good["queue"])
    # A clock that is set back does not bring them back.
    again = document_of(cycle, sampled_at_ms + INTERVAL_MS)
    assert again["queue"] == dict.fromkeys(good["queue"])


def test_nodes_are_never_carried_because_their_failure_is_their_value(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    with RawServer(healthy()) as node:
        tree["nodes"][0]["url"] = node.url
        cycle = cycle_of(tmp_path, tree)
        assert document_of(cycle)["nodes"][0]["status"] == "ok"
    broken = document_of(cycle)
    assert broken["sections"]["nodes"]["status"] == "ok"
    node_entry = broken["nodes"][0]
    assert (node_entry["status"], node_entry["reason"], node_entry["rtt_ms"]) == (
        "err",
        "refused",
        None,
    )


def test_what_is_not_configured_is_off_with_every_value_null(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    for name in ("nodes", "latency", "state", "observed", *DATABASE_SECTIONS):
        del tree[name]
    del tree["platform"]["health_url"], tree["platform"]["health_timeout_s"]
    document = document_of(cycle_of(tmp_path, tree))
    names = ("nodes", "latency", "state", *DATABASE_SECTIONS)
    assert statuses(document) == dict.fromkeys(names, "off")
    for section in document["sections"].values():
        assert (section["reason"], section["sampled_at"], section["took_ms"]) == (
            "not_configured",
            None,
            None,
        )
    assert (document["nodes"], document["experiments"], document["outcomes"]) == ([], [], {})
    for name in ("latency", "state", "queue", "pipeline"):
        assert set(document[name].values()) == {None}


def test_a_section_of_which_a_part_fails_is_partial_and_says_what_is_missing(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    tree["platform"]["health_url"] = refused_url()
    with writing(bottube_path) as connection:
        connection.execute("DROP TABLE comments")
    document = document_of(cycle_of(tmp_path, tree))
    section = document["sections"]["state"]
    assert section["status"] == "partial"
    assert section["missing"] == {
        "comments": "no_table",
        "uptime": "refused",
        "uptime_s": "refused",
        "version": "refused",
    }
    assert section["reason"] in section["missing"].values()
    unknown = {name for name, value in document["state"].items() if value is None}
    assert unknown == section["missing"].keys()
    assert all("missing" not in document["sections"][name] for name in ("nodes", "outcomes"))


@pytest.mark.parametrize(
    ("answer", "values", "reason"),
    [
        (healthy(version=None), (None, 274_000), None),
        (healthy(uptime_s="long"), ("1.2.0", None), None),
        (healthy(uptime_s=-5), ("1.2.0", None), None),
        (healthy(version="x" * 10_000), (None, None), "bad_response"),
    ],
)
def test_a_health_answer_is_taken_for_what_it_says_and_no_more(
    tmp_path: Path, tree: dict[str, Any], answer: Any, values: tuple[Any, Any], reason: str | None
) -> None:
    with RawServer(answer) as server:
        tree["platform"]["health_url"] = server.url
        document = document_of(cycle_of(tmp_path, tree))
    assert (document["state"]["version"], document["state"]["uptime_s"]) == values
    assert document["sections"]["state"].get("missing", {}).get("version") == reason


def _recorder(tmp_path: Path, tree: dict[str, Any]) -> Recorder:
    config = load_tree(tmp_path / "opsnap.toml", tree)
    return Recorder(config, open_writer(config.store.url))


def _document(recorder: Recorder) -> Document:
    tick = recorder.tick()
    assert tick is not None
    return decode(tick.snapshot.document)


def test_after_a_restart_the_stored_values_are_carried_on_with_their_time(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    tree["schedule"] = {"interval_s": 1, "deadline_s": 0.8}
    tree["observed"]["query_timeout_s"] = 0.5
    tree["nodes"][0]["timeout_s"] = tree["platform"]["health_timeout_s"] = 0.5
    before = _document(_recorder(tmp_path, tree))
    assert before["sections"]["queue"]["status"] == "ok"
    _drop_jobs(bottube_path)
    restarted = _recorder(tmp_path, tree)
    after = None
    ends = time.monotonic() + 5
    # This second has its snapshot already: the next tick is the next second's.
    while after is None and time.monotonic() < ends:
        after = restarted.tick()
    assert after is not None
    document = decode(after.snapshot.document)
    section = document["sections"]["queue"]
    assert (section["status"], section["reason"]) == ("stale", "no_table")
    assert section["sampled_at"] == before["sections"]["queue"]["sampled_at"]
    assert document["queue"] == before["queue"]


def test_after_a_restart_values_of_another_form_are_not_carried(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    first = cycle_of(tmp_path, tree)
    stored = document_of(first)
    tree["pipeline"]["counts"] = {"renditions_now": "SELECT COUNT(*) FROM video_renditions"}
    with writing(bottube_path) as connection:
        for table in ("video_renditions", "gpu_jobs"):
            connection.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
    restarted = cycle_of(tmp_path, tree)
    restarted.remember_last_good(stored)
    document = document_of(restarted)
    assert document["sections"]["pipeline"]["status"] == "error"
    assert "renditions" not in document["pipeline"]
    assert document["pipeline"]["renditions_now"] is None
    assert document["sections"]["queue"]["status"] == "stale"


def test_after_a_long_rest_the_stored_values_are_too_old_to_be_carried(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    stored = document_of(cycle_of(tmp_path, tree))
    _drop_jobs(bottube_path)
    restarted = cycle_of(tmp_path, tree)
    restarted.remember_last_good(stored)
    document = document_of(restarted, now_ms() + 11 * INTERVAL_MS)
    assert document["sections"]["queue"]["status"] == "error"
    assert set(document["queue"].values()) == {None}


def test_a_cycle_that_is_told_to_stop_ends_at_once_without_a_tick(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    with RawServer(hangs) as node:
        tree["nodes"][0] |= {"url": node.url, "timeout_s": 20.0}
        cycle, stop = cycle_of(tmp_path, tree), threading.Event()
        timer = threading.Timer(0.3, stop.set)
        timer.start()
        began = time.perf_counter()
        assert cycle.run(now_ms(), stop) is None
        assert time.perf_counter() - began < 0.3 + 0.5
        timer.join()


def test_a_platform_database_that_is_replaced_by_another_file_is_read_anew(
    tmp_path: Path, tree: dict[str, Any], bottube_path: Path
) -> None:
    cycle = cycle_of(tmp_path, tree)
    assert document_of(cycle)["state"]["humans"] == 100
    other = tmp_path / "restored.db"
    with sqlite3.connect(bottube_path) as source, sqlite3.connect(other) as target:
        source.backup(target)
        target.execute("DELETE FROM agents WHERE id > 250")
    source.close()
    target.close()
    other.replace(bottube_path)
    assert document_of(cycle)["state"]["humans"] == 50
