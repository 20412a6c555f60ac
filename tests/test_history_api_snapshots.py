"""`/api/engineering/snapshots`, page by page, and `/diff`: what changed between two of them."""

import base64
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from store.history.differences import differences
from tests.support.documents import TAKEN_AT_MS, full_document
from tests.support.properties import sparing
from tests.support.short_record import HOUR_MS, MINUTE_MS, ShortRecord, document_of

pytest_plugins = ("tests.support.short_record_plugin",)


def listed(record: ShortRecord) -> list[str]:
    """Return when the snapshots were taken that are left, oldest first.

    Snapshots of 2 hours; before these the first of each 5 minutes, before 7:00 of each hour; and
    the last of a period, when the next one does not begin with a snapshot.
    """
    known = {one.at_ms for one in record.taken}
    firsts: dict[int, int] = {}
    lasts: dict[int, int] = {}
    for one in record.taken:
        hours = (one.at_ms - record.start_ms) / HOUR_MS
        step_ms = 1 if hours >= 10 else 5 * MINUTE_MS if hours >= 7 else HOUR_MS
        firsts.setdefault(one.at_ms // step_ms * step_ms, one.at_ms)
        lasts[(one.at_ms // step_ms + 1) * step_ms] = one.at_ms
    needed = {at_ms for ends_at_ms, at_ms in lasts.items() if ends_at_ms not in known}
    left = sorted({*firsts.values(), *needed})
    return [record.at((at_ms - record.start_ms) / HOUR_MS) for at_ms in left]


def pages(visitor: FlaskClient, query: dict[str, Any]) -> list[list[str]]:
    """Return the times of each page, going on as an answer says."""
    answer = visitor.get("/api/engineering/snapshots", query_string=query).get_json()
    found = [[one["taken_at"] for one in answer["snapshots"]]]
    while answer["next"] is not None:
        answer = visitor.get(answer["next"]).get_json()
        found.append([one["taken_at"] for one in answer["snapshots"]])
    return found


def test_the_snapshots_that_are_left_are_told_newest_first(record: ShortRecord) -> None:
    told = record.get("snapshots", limit=1000)
    assert [one["taken_at"] for one in told["snapshots"]] == listed(record)[::-1]
    assert (told["ok"], told["source"], told["order"]) == (True, "test", "newest")
    assert (told["cursor"], told["next"]) == (None, None)


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 7, 13, 1000])
def test_pages_have_each_snapshot_once_and_in_order(
    record: ShortRecord, order: str, limit: int
) -> None:
    query = {"limit": limit, "order": order, "from": record.at(6), "to": record.at(10.5)}
    found = pages(record.visitor, query)
    expected = [at for at in listed(record) if query["from"] <= at < query["to"]]
    expected = expected[::-1] if order == "newest" else expected
    assert [at for page in found for at in page] == expected
    assert {len(page) for page in found[:-1]} <= {limit}
    assert 0 < len(found[-1]) <= limit


def test_a_page_has_a_hundred_unless_more_are_asked_for(record: ShortRecord) -> None:
    found = record.get("snapshots")
    assert len(found["snapshots"]) == 100
    assert found["next"] is not None


def test_a_cursor_can_be_taken_alone_too(record: ShortRecord) -> None:
    first = record.get("snapshots", limit=5)
    second = record.get("snapshots", limit=5, cursor=first["cursor"])
    times = [one["taken_at"] for page in (first, second) for one in page["snapshots"]]
    assert times == listed(record)[::-1][:10]


def test_the_address_of_a_snapshot_leads_to_its_document(record: ShortRecord) -> None:
    told = record.get("snapshots", limit=3, to=record.at(9))
    for one in told["snapshots"]:
        document = record.visitor.get(one["url"]).get_json()
        assert document["taken_at"] == one["taken_at"]
        assert "document" not in one


def test_documents_come_along_when_they_are_asked_for(record: ShortRecord) -> None:
    query = {"from": record.at(5), "to": record.at(12.5), "documents": "yes", "limit": 200}
    told = record.get("snapshots", **query)
    by_time = {document_of(one)["taken_at"]: document_of(one) for one in record.taken}
    assert len(told["snapshots"]) > 100
    for one in told["snapshots"]:
        assert one["document"] == by_time[one["taken_at"]]
    assert "documents=yes" in record.get("snapshots", **query | {"limit": 9})["next"]


def test_a_period_without_snapshots_is_an_empty_page(record: ShortRecord) -> None:
    told = record.get("snapshots", **{"from": "2001-01-01", "to": "2001-02-01"})
    assert (told["snapshots"], told["next"]) == ([], None)


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "x", "", "1e2", "٣", "9" * 400, " 1"])
def test_a_limit_is_a_whole_number_up_to_a_thousand(record: ShortRecord, limit: str) -> None:
    answer = record.visitor.get("/api/engineering/snapshots", query_string={"limit": limit})
    assert (answer.status_code, answer.get_json()) == (
        400,
        {
            "ok": False,
            "error": "bad_parameter",
            "detail": "limit: expected a whole number, 1 to 1000",
        },
    )


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    ["x", "!", "=", "AAAA", "é", "%00", cursor_of("newest"), cursor_of("newest 9" + "9" * 30)]
    + [cursor_of(f"newest {at}") for at in ("", "1.5", "x", "-", "1 2", "１")],
)
def test_a_cursor_is_one_of_an_earlier_answer(record: ShortRecord, cursor: str) -> None:
    answer = record.visitor.get("/api/engineering/snapshots", query_string={"cursor": cursor})
    assert answer.status_code == 400
    expected = "cursor: expected one of an earlier answer, in the same order"
    assert answer.get_json()["detail"] == expected


def test_a_cursor_is_of_its_order_alone(record: ShortRecord) -> None:
    cursor = record.get("snapshots", limit=5)["cursor"]
    query = {"cursor": cursor, "order": "oldest"}
    answer = record.visitor.get("/api/engineering/snapshots", query_string=query)
    assert answer.status_code == 400


def test_a_difference_is_of_the_snapshots_taken_by_then(record: ShortRecord) -> None:
    told = record.get("diff", **{"from": record.at(10), "to": record.at(11.07)})
    assert (told["asked_from"], told["asked_to"]) == (record.at(10), record.at(11.07))
    slots = [one for one in record.taken if one.at_ms <= record.start_ms + round(11.07 * HOUR_MS)]
    assert told["from"] == record.at(10)
    assert told["to"] == record.at((slots[-1].at_ms - record.start_ms) / HOUR_MS)
    before, after = (
        next(one for one in record.taken if one.slot == slot) for slot in (360, slots[-1].slot)
    )
    values = {one["path"]: one for one in told["values"]}
    expected = {"queue.queued", "queue.depth", "latency.p95"}
    assert set(values) == {path for path in expected if path.startswith("latency")} | {
        path for path in expected if before.queued != after.queued
    }
    assert values["latency.p95"] == {
        "path": "latency.p95",
        "kind": "changed",
        "from": 20 + before.slot / 8,
        "to": 20 + after.slot / 8,
        "change": (after.slot - before.slot) / 8,
    }
    assert told["statuses"] == [
        {
            "kind": "section",
            "name": "queue",
            "from": "ok",
            "to": "stale",
            "from_reason": None,
            "reason": "locked",
        }
    ]
    # It was stale from 11:00 on, and last sampled 100 seconds before.
    assert told["stale"] == {"from": {}, "to": {"queue": record.at(11 - 100 / 3600)}}
    shift = told["latency"]["latency"]["p95"]
    assert shift["shift_ms"] == (after.slot - before.slot) / 8
    assert shift["ratio"] == round((20 + after.slot / 8) / (20 + before.slot / 8), 4)


def test_a_node_that_went_down_is_told_with_its_reason(record: ShortRecord) -> None:
    # Before 7:00 the first snapshot of each hour is left: at 4:20 that of 2:00 and of 4:20 itself.
    told = record.get("diff", **{"from": record.at(2), "to": record.at(4.5)})
    assert told["statuses"] == [
        {
            "kind": "node",
            "name": "node-2",
            "from": "ok",
            "to": "err",
            "from_reason": None,
            "reason": "timeout",
        }
    ]
    values = {one["path"]: one for one in told["values"]}
    assert values["nodes.node-2.rtt_ms"] == {
        "path": "nodes.node-2.rtt_ms",
        "kind": "changed",
        "from": 812.0,
        "to": None,
        "change": None,
    }
    assert values["nodes.node-2.phases_ms.dns"]["kind"] == "gone"


def test_between_a_snapshot_and_itself_nothing_changed(record: ShortRecord) -> None:
    told = record.get("diff", **{"from": record.at(11), "to": record.at(11)})
    assert (told["values"], told["statuses"]) == ([], [])
    assert told["latency"]["latency"]["p50"] == {
        "from": 8.43,
        "to": 8.43,
        "shift_ms": 0.0,
        "ratio": 1.0,
    }


def test_a_difference_needs_a_snapshot_at_both_ends(record: ShortRecord) -> None:
    for query, detail in (
        ("from=0&to=now", "from: no snapshot was taken by then"),
        ("from=0&to=1", "from: no snapshot was taken by then"),
    ):
        answer = record.visitor.get(f"/api/engineering/diff?{query}")
        assert (answer.status_code, answer.get_json()["error"]) == (404, "no_snapshot")
        assert answer.get_json()["detail"] == detail
    backwards = record.visitor.get("/api/engineering/diff?from=now&to=-1h")
    assert (backwards.status_code, backwards.get_json()["error"]) == (400, "bad_parameter")


def test_what_belongs_to_the_moment_is_no_difference() -> None:
    before, after = full_document(TAKEN_AT_MS), full_document(TAKEN_AT_MS + 30_000)
    for section in after["sections"].values():
        section["took_ms"] += 1
    after["latency"]["distribution"]["counts"][0] += 5
    after["latency"]["slowest_routes"].pop()
    told = differences(before, after)
    assert (told["values"], told["statuses"]) == ([], [])


def test_every_kind_of_value_that_differs_is_told() -> None:
    before, after = full_document(), full_document()
    after["state"] |= {"version": "1.3.0", "videos": None, "new": 1}
    del after["state"]["humans"]
    after["outcomes"]["latest"]["ctr"] = 0.115844
    after["queue"]["queued"] = 14.5
    after["pipeline"]["anchored"] = 1019.0
    after["sections"]["state"] |= {"status": "partial", "missing": {"videos": "no_table"}}
    told = differences(before, after)
    assert {one.pop("path"): one for one in told["values"]} == {
        "state.version": {"kind": "changed", "from": "1.2.0", "to": "1.3.0", "change": None},
        "state.videos": {"kind": "changed", "from": 2001, "to": None, "change": None},
        "state.new": {"kind": "appeared", "from": None, "to": 1, "change": None},
        "state.humans": {"kind": "gone", "from": 103, "to": None, "change": None},
        # Binary fractions would tell 0.09999999999999999.
        "outcomes.latest.ctr": {"kind": "changed", "from": 0.015844, "to": 0.115844, "change": 0.1},
        "queue.queued": {"kind": "changed", "from": 15, "to": 14.5, "change": -0.5},
        "sections.state.missing.videos": {
            "kind": "appeared",
            "from": None,
            "to": "no_table",
            "change": None,
        },
    }
    assert [(one["name"], one["from"], one["to"]) for one in told["statuses"]] == [
        ("state", "ok", "partial")
    ]


def test_a_reason_that_changed_is_told_though_the_state_did_not() -> None:
    before, after = full_document(), full_document()
    after["nodes"][2]["reason"] = "timeout"
    after["nodes"].append({"id": "node-9", "status": "ok", "reason": None})
    (changed, appeared) = differences(before, after)["statuses"]
    assert (changed["name"], changed["from"], changed["to"]) == ("node-3", "err", "err")
    assert (changed["from_reason"], changed["reason"]) == ("refused", "timeout")
    assert (appeared["name"], appeared["from"], appeared["to"]) == ("node-9", None, "ok")


def test_a_shift_from_or_to_nothing_has_no_ratio() -> None:
    before, after = full_document(), full_document()
    before["latency"] |= {"p50": None, "p95": 0.0}
    after["latency"] |= {"p99": None, "max": 122.4}
    shifts = differences(before, after)["latency"]["latency"]
    assert shifts["p50"] == {"from": None, "to": 8.43, "shift_ms": None, "ratio": None}
    assert shifts["p95"] == {"from": 0.0, "to": 25.1, "shift_ms": 25.1, "ratio": None}
    assert shifts["p99"] == {"from": 48.7, "to": None, "shift_ms": None, "ratio": None}
    assert shifts["max"] == {"from": 61.2, "to": 122.4, "shift_ms": 61.2, "ratio": 2.0}
    assert shifts["samples"] == {"from": 987, "to": 987}


_json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["id", "name", "status", "a", "b"]), inner, max_size=3),
    ),
    max_leaves=12,
)
_entries = st.dictionaries(st.sampled_from(["id", "status", "reason", "rtt_ms", "x"]), _json)
_documents = st.builds(
    lambda others, nodes: others | {"nodes": nodes},
    st.dictionaries(
        st.sampled_from(["sections", "latency", "latency_x", "state", "taken_at"]), _json
    ),
    st.lists(_entries, max_size=3),
)


@sparing
@given(before=_documents, after=_documents)
def test_any_two_objects_have_a_difference_and_none_with_themselves(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    there, back = differences(before, after), differences(after, before)
    assert {one["path"] for one in there["values"]} == {one["path"] for one in back["values"]}
    swapped = {"appeared": "gone", "gone": "appeared", "changed": "changed"}
    assert {one["path"]: swapped[one["kind"]] for one in there["values"]} == {
        one["path"]: one["kind"] for one in back["values"]
    }
    same = differences(before, before)
    assert (same["values"], same["statuses"]) == ([], [])
