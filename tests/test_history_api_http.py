"""What all routes of the history have in common: methods, caching, addresses, outages."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.intervals import LatencyInterval
from tests.support.documents import full_document, iso, now_ms, store, this_tick_ms
from tests.support.records import change
from tests.support.short_record import DAY_MS, HOUR_MS, ShortRecord
from tests.support.visitors import BROWSER, visitor_of

pytest_plugins = ("tests.support.short_record_plugin",)

API = (Path(__file__).parents[1] / "docs" / "API.md").read_text()
#: Questions about the whole record or a part of it, with their period left out.
QUESTIONS = [
    "history?metric=queue.queued&metric=latency.p99&metric=nodes.*.rtt_ms",
    "history?metric=queue.queued&step=2h",
    "history?metric=queue.queued&metric=latency.p99&step=1h&format=csv",
    "latency?class=latency",
    "latency?class=latency&format=hgrm",
    "latency?class=latency&format=hlog",
    "diff?",
    "snapshots?limit=20",
    "snapshots?limit=20&order=oldest&documents=yes",
    "incidents?",
]
#: Routes that answer without a parameter.
PLAIN = ("uptime", "incidents", "metrics", "snapshots", "diff?from=-3d")

each_question = pytest.mark.parametrize("question", QUESTIONS)


def address(record: ShortRecord, question: str, begin: float = 0, end: float = 12) -> str:
    period = f"from={record.at(begin)}&to={record.at(end)}"
    return f"/api/engineering/{question}{'' if question.endswith('?') else '&'}{period}"


@each_question
@pytest.mark.parametrize(("begin", "end"), [(0, 12), (7.25, 11.4), (-14, 20)])
def test_both_engines_answer_the_same_byte_for_byte(
    record_in: Callable[[str], ShortRecord], question: str, begin: float, end: float
) -> None:
    records = [record_in(engine) for engine in ("sqlite", "postgresql")]
    one, other = (each.visitor.get(address(each, question, begin, end)) for each in records)
    # Before the first snapshot there is none to tell a difference from.
    assert (
        one.status_code
        == other.status_code
        == (404 if (question, begin) == ("diff?", -14) else 200)
    )
    assert one.data == other.data
    assert one.headers.get("ETag") == other.headers.get("ETag")


@pytest.mark.parametrize("route", ["metrics", "uptime?at=now"])
def test_both_engines_know_the_same_of_the_present(
    record_in: Callable[[str], ShortRecord], route: str
) -> None:
    records = [record_in(engine) for engine in ("sqlite", "postgresql")]
    told = [each.visitor.get(f"/api/engineering/{route}").get_json() for each in records]
    for one in told:
        one.pop("at", None)
        for node in one.get("nodes", ()):
            for period in node["periods"].values():
                # Of another millisecond each, and so is what is unknown of the time up to it.
                for key in ("from", "to", "unknown_s", "observed_share"):
                    period.pop(key)
    assert told[0] == told[1]


@each_question
def test_head_is_get_without_the_body(record: ShortRecord, question: str) -> None:
    get, head = (
        ask(address(record, question)) for ask in (record.visitor.get, record.visitor.head)
    )
    assert (get.status_code, head.status_code, head.data) == (200, 200, b"")
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control", "Content-Disposition"):
        assert head.headers.get(name) == get.headers.get(name), name


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("route", ["history", "latency", *(one.split("?")[0] for one in PLAIN)])
def test_only_get_and_head_are_allowed(record: ShortRecord, route: str, method: str) -> None:
    answer = record.visitor.open(f"/api/engineering/{route}", method=method)
    assert (answer.status_code, answer.get_json()["error"]) == (405, "method_not_allowed")


@each_question
def test_what_a_visitor_has_already_is_not_sent_again(record: ShortRecord, question: str) -> None:
    path = address(record, question)
    tag = record.visitor.get(path).headers["ETag"]
    assert re.fullmatch(r'W/"[0-9a-f]+"', tag)
    again = record.visitor.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert "Content-Type" not in again.headers
    other = record.visitor.get(address(record, question, 0, 9), headers={"If-None-Match": tag})
    assert other.status_code == 200


@each_question
def test_a_past_that_is_told_absolutely_may_be_kept_for_an_hour_and_not_for_ever(
    record: ShortRecord, question: str
) -> None:
    answer = record.visitor.get(address(record, question, 0, 12))
    # Nothing is added to it, but retention makes it coarser.
    assert answer.headers["Cache-Control"] == "public, max-age=3600"


def test_what_reaches_into_the_present_is_kept_until_the_next_snapshot_is_due(
    sqlite_url: str, tmp_path: Path
) -> None:
    # Hours, so that no tick comes in between.
    tick_ms = this_tick_ms(HOUR_MS)
    for at_ms in (tick_ms - 4 * HOUR_MS, tick_ms - HOUR_MS, tick_ms):
        store(sqlite_url, full_document(at_ms, interval_s=3600))
    visitor = visitor_of(sqlite_url, tmp_path)
    before_s = (tick_ms + HOUR_MS - now_ms()) // 1000
    absolute = f"from={iso(tick_ms - HOUR_MS)}&to={iso(tick_ms + 1)}"
    for question in (
        "history?metric=queue.queued",
        f"history?metric=queue.queued&{absolute}",
        # Settled by its times, but not by what it is widened to.
        f"history?metric=queue.queued&from={iso(tick_ms - HOUR_MS)}&to={iso(tick_ms - 1)}&step=1d",
        f"incidents?{absolute}",
        f"snapshots?{absolute}",
        "snapshots",
        "uptime",
        "metrics",
        f"diff?from={iso(tick_ms - HOUR_MS)}",
        f"diff?from=-2h&to={iso(tick_ms)}",
    ):
        told = visitor.get(f"/api/engineering/{question}").headers["Cache-Control"]
        after_s = (tick_ms + HOUR_MS - now_ms()) // 1000
        kept = re.fullmatch(r"public, max-age=(\d+), must-revalidate", told)
        assert kept is not None, (question, told)
        assert after_s <= int(kept[1]) <= before_s, question


def test_of_a_daemon_that_stopped_the_present_is_asked_for_again_and_again(
    record: ShortRecord,
) -> None:
    for question in ("history?metric=queue.queued", "uptime", "metrics", "snapshots"):
        answer = record.visitor.get(f"/api/engineering/{question}")
        assert answer.headers["Cache-Control"] == "no-cache"


def test_an_error_is_json_for_everybody_and_never_kept(record: ShortRecord) -> None:
    for route in ("history", "latency", "diff?from=0", "snapshots?limit=x", "uptime?at=x"):
        answer = record.visitor.get(f"/api/engineering/{route}", headers=BROWSER)
        assert answer.content_type == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert set(answer.get_json()) == {"ok", "error", "detail"}
        assert "ETag" not in answer.headers


def test_the_routes_and_the_addresses_in_their_answers_have_the_prefix(
    sqlite_url: str, tmp_path: Path
) -> None:
    for seconds in (90, 60, 30):
        store(sqlite_url, full_document(this_tick_ms() - seconds * 1000))
    visitor = visitor_of(sqlite_url, tmp_path, url_prefix="/ops", trusted_proxies=1)
    for route in PLAIN:
        assert visitor.get(f"/api/engineering/{route}").status_code == 404
    told = visitor.get("/ops/api/engineering/snapshots?limit=2").get_json()
    assert told["next"].startswith("/ops/api/engineering/snapshots?")
    assert told["snapshots"][0]["url"].startswith("/ops/api/engineering?at=")
    assert len(visitor.get(told["next"]).get_json()["snapshots"]) == 1
    proxied = {"X-Forwarded-Prefix": "/outside"}
    told = visitor.get("/ops/api/engineering/snapshots?limit=2", headers=proxied).get_json()
    assert told["next"].startswith("/outside/ops/api/engineering/snapshots?")


@pytest.mark.parametrize("route", ["history?metric=queue.queued", "latency?class=latency", *PLAIN])
def test_before_the_first_snapshot_there_is_nothing_and_that_is_no_fault(
    store_url: str, tmp_path: Path, route: str
) -> None:
    answer = visitor_of(store_url, tmp_path).get(f"/api/engineering/{route}")
    expected = {"history": 400, "latency": 400, "uptime": 503, "diff": 404}
    assert answer.status_code == expected.get(route.partition("?")[0], 200)
    if answer.status_code == 200:
        told = answer.get_json()
        assert [told[name] for name in ("incidents", "metrics", "snapshots") if name in told] == [
            []
        ]
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("route", ["history?metric=queue.queued", "latency?class=latency", *PLAIN])
def test_without_a_store_the_answer_says_so(tmp_path: Path, route: str) -> None:
    visitor = visitor_of(f"sqlite:///{tmp_path}/no-store.db", tmp_path)
    answer = visitor.get(f"/api/engineering/{route}")
    category = "no_snapshot" if route == "uptime" else "store_unavailable"
    assert (answer.status_code, answer.get_json()) == (503, {"ok": False, "error": category})


@pytest.mark.parametrize("route", ["history?metric=queue.queued", "latency?class=latency", *PLAIN])
@pytest.mark.parametrize("text", ["no JSON", "[]", '{"ok": true}'])
def test_a_newest_document_that_cannot_be_read_is_no_fault_of_the_server(
    store_url: str, tmp_path: Path, route: str, text: str
) -> None:
    intervals = {"latency": LatencyInterval()}
    for days in (4, 0):
        document = full_document(this_tick_ms() - 30_000 - days * DAY_MS)
        store(store_url, document, intervals=intervals)
    damaged = f"UPDATE snapshots SET document = '{text}' WHERE taken_at > {now_ms() - DAY_MS}"
    change(store_url, damaged.replace(":", "\\:"))
    answer = visitor_of(store_url, tmp_path).get(f"/api/engineering/{route}")
    assert answer.status_code in (200, 503), answer.text
    if answer.status_code == 503:
        assert answer.get_json()["error"] in ("store_unavailable", "no_snapshot")


def test_a_query_that_takes_longer_than_its_limit_is_ended_and_said_to_be(
    store_url: str, tmp_path: Path
) -> None:
    store(store_url, full_document(this_tick_ms() - 30_000))
    numbers = (
        "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 700000)"
        if store_url.startswith("sqlite")
        else "WITH n AS (SELECT generate_series(1, 700000) AS n)"
    )
    columns = "source, taken_at, kind, name, from_status, to_status, reason, previous_at"
    values = "'test', n, 'node', 'node-' || (n % 1000), 'ok', 'err', 'timeout', n - 1"
    into = f"INSERT INTO status_changes ({columns})"
    # On SQLite the WITH has to come before the SELECT, on both it may.
    change(store_url, f"{into} {numbers} SELECT {values} FROM n")
    visitor = visitor_of(store_url, tmp_path, query_limit_s=0.1)
    answer = visitor.get("/api/engineering/incidents?from=1970-01-01")
    assert (answer.status_code, answer.get_json()) == (
        503,
        {"ok": False, "error": "query_timeout"},
    )
    assert answer.headers["Cache-Control"] == "no-store"
    # What is quick is answered all the same.
    assert visitor.get("/api/engineering/snapshots").status_code == 200


def shape(value: Any) -> Any:
    """Return which keys an answer has, whatever stands under names that are not the API's own."""
    if isinstance(value, list):
        return shape(value[0]) if value else None
    if isinstance(value, dict):
        own = {key: shape(inner) for key, inner in value.items()}
        return {"24h": own["24h"]} if "24h" in own else own
    return None


@pytest.mark.parametrize(
    ("heading", "question"),
    [
        ("### Series: `history`", "history?metric=queue.queued&metric=latency.p99&step=2h"),
        ("### Latency of a period: `latency`", "latency?class=latency"),
        ("### What changed: `diff`", "diff?"),
        ("### Snapshots: `snapshots`", "snapshots?limit=2"),
        ("### Uptime: `uptime`", "uptime"),
        ("### Incidents: `incidents`", "incidents?"),
        ("### Metrics: `metrics`", "metrics"),
    ],
)
def test_the_examples_in_the_documentation_have_the_keys_of_the_answers(
    record: ShortRecord, heading: str, question: str
) -> None:
    section = re.split(r"\n##+ ", API.partition(f"\n{heading}\n")[2])[0]
    (example,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    has_period = "?" in question
    path = address(record, question, 11, 12) if has_period else f"/api/engineering/{question}"
    documented, told = json.loads(example), record.visitor.get(path).get_json()
    if question == "diff?":
        documented["latency"].pop("latency_admin", None)
        told["latency"].pop("latency_admin")
        documented["stale"] = told["stale"] = None
        told["statuses"] = told["statuses"] or documented["statuses"]
    assert shape(documented) == shape(told)
