"""More than five thousand odd requests to all routes: none fails, every refusal says why."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.documents import iso
from tests.support.short_record import DAY_MS, HOUR_MS, ShortRecord

pytest_plugins = ("tests.support.short_record_plugin",)

API = "/api/engineering"
#: Each route with its parameters.
ROUTES = {
    "/engineering": ("at",),
    API: ("at",),
    f"{API}/history": ("metric", "from", "to", "step", "format"),
    f"{API}/latency": ("class", "from", "to", "format"),
    f"{API}/diff": ("from", "to"),
    f"{API}/snapshots": ("from", "to", "order", "limit", "documents", "cursor"),
    f"{API}/uptime": ("at",),
    f"{API}/incidents": ("from", "to"),
    f"{API}/metrics": (),
}
STATUSES = {200, 302, 304, 400, 404, 405}
#: Together 5,200 requests in SQLite, and a fifth of that in PostgreSQL.
EXAMPLES, REQUESTS = 260, 20
#: The limit of a query.
SLOWEST_S = 5.0

odd_texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            " ",
            "\0",
            "*",
            "**.*",
            "-1",
            "0",
            "1e9",
            "NaN",
            "null",
            "٣",
            "x" * 1100,
            "'--",
            "%",
            "🦜",
        ]
    ),
    st.from_regex(r"[-+]?[0-9]{1,20}([.][0-9]{1,9})?(s|m|h|d|w)?", fullmatch=True),
)


def times(first_ms: int, last_ms: int, *likely: str) -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(likely),
        st.integers(first_ms // HOUR_MS, last_ms // HOUR_MS).map(lambda hour: iso(hour * HOUR_MS)),
        st.integers(first_ms, last_ms).map(iso),
        st.integers(first_ms, last_ms).map(lambda at_ms: str(at_ms / 1000)),
        st.datetimes().map(lambda at: at.isoformat()),
    )


def values(path: str, start_ms: int) -> dict[str, st.SearchStrategy[str]]:
    """Return what a parameter of the route `path` may well be."""
    paths = ["queue.queued", "queue.*", "nodes.*.up", "latency.p99", "latency.max", "*", "*.*"]
    steps = ["auto", "100s", "5m", "10m", "1h", "2h", "1d", "7d", "366d", "367d", "86400", "7m"]
    forms = ["json", "csv"] if path.endswith("history") else ["json", "hgrm", "hlog"]
    middle_ms = start_ms + 6 * HOUR_MS
    return {
        "metric": st.sampled_from(paths),
        "step": st.sampled_from(steps),
        "format": st.sampled_from(forms),
        "class": st.sampled_from(["latency", "latency", "latency_admin"]),
        "order": st.sampled_from(["newest", "oldest"]),
        "limit": st.integers(-1, 1001).map(str),
        "documents": st.sampled_from(["yes", "no"]),
        "cursor": st.sampled_from(["bmV3ZXN0IDE3OTUwNjc4MDAwMDA", "b2xkZXN0IDA", "bmV3ZXN0IC0x"]),
        "from": times(start_ms - DAY_MS, middle_ms, "-40d", "-3d", "0", "-999999999w"),
        "to": times(middle_ms, start_ms + DAY_MS, "now", "-1h", "253402300799.999"),
        "at": times(start_ms, start_ms + DAY_MS, "now", "-1h", "-1d", "9999-12-31"),
    }


@st.composite
def requests(draw: st.DrawFn, start_ms: int) -> tuple[str, str, str]:
    """Draw a method, a path and a query: mostly what is known, now and then something odd."""
    path = draw(st.sampled_from(list(ROUTES)))
    likely = values(path, start_ms)
    query = []
    for name in ROUTES[path]:
        count = draw(st.sampled_from((0, *(1,) * 12, 2)))
        kinds = (likely[name],) * 14 + (odd_texts,)
        query += [
            (name, draw(st.sampled_from(kinds).flatmap(lambda kind: kind))) for _ in range(count)
        ]
    if draw(st.integers(0, 19)) == 0:
        query.append((draw(odd_texts), draw(odd_texts)))
    text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in query)
    if draw(st.integers(0, 29)) == 0:
        text = draw(st.binary(max_size=40)).decode("latin-1")
    if draw(st.integers(0, 29)) == 0:
        path += draw(st.sampled_from(["/", "/x", "%00", "/../", "/metrics"]))
    methods = ("GET",) * 16 + ("HEAD", "HEAD", "POST", "OPTIONS")
    return draw(st.sampled_from(methods)), path, text


def check(answer: TestResponse, method: str) -> None:
    assert answer.status_code in STATUSES
    if answer.status_code < 400 or method == "HEAD":
        return
    body = answer.get_json()
    assert body["ok"] is False
    assert set(body) <= {"ok", "error", "detail"}
    assert body["error"]
    if answer.status_code == 400:
        name, separator, expected = body["detail"].partition(": ")
        assert name in {"query", *(name for names in ROUTES.values() for name in names)}
        assert separator
        assert expected
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("engine", "examples"), [("sqlite", EXAMPLES), ("postgresql", EXAMPLES // 5)]
)
def test_no_request_makes_the_server_fail_and_every_refusal_says_why(
    record_in: Callable[[str], ShortRecord], engine: str, examples: int
) -> None:
    record = record_in(engine)
    answered: Counter[tuple[str, int]] = Counter()
    slowest: tuple[float, Any] = (0.0, None)

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(drawn=st.lists(requests(record.start_ms), min_size=REQUESTS, max_size=REQUESTS))
    def ask_all(drawn: list[tuple[str, str, str]]) -> None:
        nonlocal slowest
        for method, path, query in drawn:
            began = time.perf_counter()
            answer = record.visitor.open(path, method=method, query_string=query)
            slowest = max(
                slowest, (time.perf_counter() - began, (path, query)), key=lambda one: one[0]
            )
            answered[path, answer.status_code] += 1
            check(answer, method)

    ask_all()
    assert sum(answered.values()) >= examples * REQUESTS
    # Of every route some are answered and some refused, or nothing would have been tried.
    for path, names in ROUTES.items():
        assert answered[path, 200] > 0, path
        assert answered[path, 400] > 0 or not names, path
    assert slowest[0] < SLOWEST_S, slowest[1]
