"""`/api/engineering/uptime` and `/incidents`: up, down and unknown, and when it was not well."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import full_document, iso, now_ms, store, this_tick_ms
from tests.support.short_record import STALE, STOPPED, ShortRecord
from tests.support.visitors import visitor_of

pytest_plugins = ("tests.support.short_record_plugin",)

LENGTHS_S = {"24h": 86_400, "7d": 604_800, "30d": 2_592_000, "90d": 7_776_000}
TICK_MS = 30_000


def test_uptime_is_up_down_and_unknown_which_make_up_the_period(record: ShortRecord) -> None:
    told = record.get("uptime", at=record.at(12))
    assert (told["ok"], told["source"], told["at"]) == (True, "test", record.at(12))
    assert [(node["id"], node["location"]) for node in told["nodes"]] == [
        ("node-1", "LiquidWeb US"),
        ("node-2", "Hong Kong"),
        ("node-3", "Texas"),
    ]
    taken = record.within(0, 12)
    down = {"node-1": 0, "node-2": sum(one.node_2 == "err" for one in taken), "node-3": len(taken)}
    for node in told["nodes"]:
        assert set(node["periods"]) == set(LENGTHS_S)
        for label, length_s in LENGTHS_S.items():
            found = node["periods"][label]
            # Each snapshot stands for the 100 seconds that it is taken at.
            up_s, down_s = ((len(taken) - down[node["id"]]) * 100, down[node["id"]] * 100)
            assert (found["up_s"], found["down_s"]) == (up_s, down_s)
            assert found["observed_s"] == len(taken) * 100
            assert found["unknown_s"] == length_s - len(taken) * 100
            assert found["observed_share"] == pytest.approx(len(taken) * 100 / length_s, abs=1e-6)
            assert found["up_share"] == pytest.approx(up_s / (up_s + down_s), abs=1e-6)
            assert found["to"] == record.at(12)
            assert found["from"] == record.at(12 - length_s / 3600)


def test_of_a_node_that_nobody_observed_the_share_of_uptime_is_not_known(
    store_url: str, tmp_path: Path
) -> None:
    document = full_document(this_tick_ms() - TICK_MS)
    document["nodes"][0]["status"] = None
    store(store_url, document)
    told = visitor_of(store_url, tmp_path).get("/api/engineering/uptime").get_json()
    periods = {node["id"]: node["periods"]["24h"] for node in told["nodes"]}
    assert periods["node-1"]["up_share"] is None
    assert (periods["node-1"]["observed_s"], periods["node-1"]["unknown_s"]) == (0, 86_400)
    assert (periods["node-2"]["up_share"], periods["node-3"]["up_share"]) == (1, 0)


def test_uptime_ends_at_the_present_for_what_is_to_come_is_unknown_to_everybody(
    record: ShortRecord,
) -> None:
    before_ms = now_ms()
    told = record.get("uptime", at="9999-12-31")
    assert iso(before_ms) <= told["at"] <= iso(now_ms())


def test_uptime_needs_a_snapshot_to_know_the_nodes(sqlite_url: str, tmp_path: Path) -> None:
    answer = visitor_of(sqlite_url, tmp_path).get("/api/engineering/uptime")
    assert (answer.status_code, answer.get_json()["error"]) == (503, "no_snapshot")


def test_incidents_are_told_newest_first(record: ShortRecord) -> None:
    told = record.get("incidents", **{"from": record.at(0), "to": record.at(12)})
    slots_per_h = 36

    def incident(kind: str, name: str, begin: int, end: int, status: str, reason: str) -> Any:
        nobody_looked = len(set(range(begin, end)) & set(STOPPED[0]))
        return {
            "kind": kind,
            "name": name,
            "status": status,
            "reason": reason,
            "started_at": record.at(begin / slots_per_h),
            "last_seen_at": record.at((end - 1) / slots_per_h),
            "ended_at": record.at(end / slots_per_h),
            "was_observed_to_end": True,
            "duration_s": (end - begin) * 100,
            "unobserved_s": nobody_looked * 100,
            "seen_for_s": (end - begin - 1) * 100,
        }

    going_on = told["incidents"].pop()
    assert told["incidents"] == [
        incident("section", "queue", STALE.start, STALE.stop, "stale", "locked"),
        incident("node", "node-2", 75, 159, "err", "timeout"),
        incident("node", "node-2", 18, 36, "err", "timeout"),
    ]
    assert (going_on["name"], going_on["status"]) == ("node-3", "err")
    assert (going_on["ended_at"], going_on["duration_s"]) == (None, None)
    # As known at 12:00: the newest snapshot before it is the one 100 seconds earlier.
    assert going_on["last_seen_at"] == record.at(12 - 1 / slots_per_h)
    assert going_on["seen_for_s"] == 12 * 3600 - 100


def test_an_incident_belongs_to_every_period_that_has_a_part_of_it(record: ShortRecord) -> None:
    found = {}
    for begin, end in ((1.5, 2), (2.2, 4), (0.6, 0.7), (4.5, 11)):
        told = record.get("incidents", **{"from": record.at(begin), "to": record.at(end)})
        assert (told["from"], told["to"]) == (record.at(begin), record.at(end))
        found[begin] = [one["name"] for one in told["incidents"]]
    assert found == {
        1.5: ["node-3"],
        2.2: ["node-2", "node-3"],
        0.6: ["node-2", "node-3"],
        4.5: ["node-3"],
    }


def test_of_an_incident_that_ended_while_nobody_looked_the_duration_is_not_known(
    store_url: str, tmp_path: Path
) -> None:
    began_ms = this_tick_ms() - 100 * TICK_MS
    statuses = {0: "ok", 1: "err", 2: "err", 50: "ok", 51: "ok"}
    for ticks, status in statuses.items():
        document = full_document(began_ms + ticks * TICK_MS)
        document["nodes"] = [document["nodes"][0] | {"status": status, "reason": None}]
        store(store_url, document)
    visitor = visitor_of(store_url, tmp_path)
    (told,) = visitor.get("/api/engineering/incidents").get_json()["incidents"]
    assert told["was_observed_to_end"] is False
    assert told["started_at"] == iso(began_ms + TICK_MS)
    assert told["last_seen_at"] == iso(began_ms + 2 * TICK_MS)
    assert told["ended_at"] == iso(began_ms + 50 * TICK_MS)
    assert (told["duration_s"], told["seen_for_s"]) == (None, 30)


def test_without_a_period_incidents_are_of_the_last_week(sqlite_url: str, tmp_path: Path) -> None:
    now = this_tick_ms()
    for days in (9, 8, 6, 5):
        document = full_document(now - days * 86_400_000)
        status = "err" if days in (9, 6) else "ok"
        document["nodes"] = [document["nodes"][0] | {"status": status}]
        store(sqlite_url, document)
    told = visitor_of(sqlite_url, tmp_path).get("/api/engineering/incidents").get_json()
    assert [one["started_at"] for one in told["incidents"]] == [iso(now - 6 * 86_400_000)]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("uptime?at=x", "at: expected ISO 8601"),
        ("uptime?at=now&at=now", "at: expected one value"),
        ("uptime?from=-1d", "query: expected only at"),
        ("incidents?at=now", "query: expected only from, to"),
        ("incidents?from=now", "from: expected a time before that of to"),
        ("incidents?to=", "to: expected ISO 8601"),
        ("metrics?x", "query: expected no parameters"),
    ],
)
def test_what_cannot_be_answered_says_what_was_expected(
    record: ShortRecord, query: str, detail: str
) -> None:
    answer = record.visitor.get(f"/api/engineering/{query}")
    assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_parameter")
    assert answer.get_json()["detail"].startswith(detail)
