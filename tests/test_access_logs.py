"""Lines of access logs: what each format says, and what no visitor can make it say."""

import json
import timeit
from typing import Any

import pytest
from gunicorn.glogging import SafeAtoms
from hypothesis import given
from hypothesis import strategies as st

from config.latency import AccessLog
from daemon.access_log.formats import parser
from daemon.requests import Request
from tests.support.properties import unhurried

#: 20 November 2026, 10:13:30 UTC, in Unix milliseconds.
AT_MS = 1_795_169_610_000
CUSTOM = (
    r"(?P<time>\S+) (?P<method>[A-Z]+) (?P<path>\S+) (?P<status>\d+) took (?P<duration_ms>[\d.]+)ms"
)
FORMATS = ("gunicorn", "nginx", "json", CUSTOM)

NGINX_JSON = {
    "time_iso8601": "2026-11-20T10:13:30+00:00",
    "remote_addr": "203.0.113.9",
    "request": "GET /api/feed?page=2 HTTP/2.0",
    "status": "200",
    "body_bytes_sent": "612",
    "request_time": "0.005",
    "http_user_agent": "agent/1",
}
CADDY = {
    "level": "info",
    "ts": 1795169610.0,
    "logger": "http.log.access",
    "msg": "handled request",
    "request": {
        "remote_ip": "203.0.113.9",
        "proto": "HTTP/2.0",
        "method": "GET",
        "host": "bottube.example",
        "uri": "/api/feed?page=2",
        "headers": {"User-Agent": ["agent/1"]},
    },
    "bytes_read": 0,
    "duration": 0.005,
    "size": 612,
    "status": 200,
}
#: Every one says: /api/feed with a query, answered 200 after 5 ms at AT_MS.
SAME_REQUEST = {
    "gunicorn": (
        "gunicorn",
        (
            '203.0.113.9 - - [20/Nov/2026:10:13:30 +0000] "GET /api/feed?page=2 HTTP/1.1" 200 612 '
            '"-" "agent/1" 5000'
        ),
    ),
    "gunicorn in another zone": (
        "gunicorn",
        (
            '203.0.113.9 - anna [20/Nov/2026:12:13:30 +0200] "GET /api/feed?page=2 HTTP/1.1" 200 - '
            '"https://bottube.example/a[1]" "agent \\"quoted\\" [1]" 5000'
        ),
    ),
    "nginx": (
        "nginx",
        (
            '203.0.113.9 - - [20/Nov/2026:10:13:30 +0000] "GET /api/feed?page=2 HTTP/2.0" 200 612 '
            '"https://bottube.example/" "Mozilla/5.0 (X11; Linux x86_64)" 0.005'
        ),
    ),
    "nginx JSON": ("json", json.dumps(NGINX_JSON)),
    "nginx JSON, local time": (
        "json",
        (
            '{"time_local":"20/Nov/2026:10:13:30 +0000","request_uri":"/api/feed?page=2",'
            '"status":200,"request_time":0.005}'
        ),
    ),
    "nginx JSON, epoch": (
        "json",
        '{"msec":"1795169610.000","uri":"/api/feed","status":"200","request_time":"0.005"}',
    ),
    "Caddy": ("json", json.dumps(CADDY)),
    "another JSON": (
        "json",
        '{"timestamp":"2026-11-20T10:13:30Z","path":"/api/feed","status_code":200,"duration_ms":5}',
    ),
    "custom": (CUSTOM, "2026-11-20T10:13:30Z GET /api/feed?page=2 200 took 5.0ms"),
    "custom, epoch": (CUSTOM, "1795169610 GET /api/feed?page=2 200 took 5.0ms"),
}


@pytest.mark.parametrize("name", SAME_REQUEST)
def test_every_format_says_when_how_long_how_and_what_without_its_query(name: str) -> None:
    log_format, line = SAME_REQUEST[name]
    AccessLog(path="access.log", format=log_format)  # what the configuration accepts as well
    assert parser(log_format)(line) == Request(AT_MS, 5_000, 200, "/api/feed")


@pytest.mark.parametrize(
    ("told", "path"),
    [
        ("/", "/"),
        ("/watch/abc?imp=imp_00ff&t=1?2", "/watch/abc"),
        ("/search?q=https://elsewhere.example/admin/", "/search"),
        ("https://bottube.example/api/feed?token=hunter2", "/api/feed"),
        ("https://bottube.example", "/"),
        ("*", "*"),
    ],
)
def test_a_path_has_no_query_and_no_host(told: str, path: str) -> None:
    line = SAME_REQUEST["gunicorn"][1].replace("/api/feed?page=2", told)
    request = parser("gunicorn")(line)
    assert request is not None
    assert request.path == path


@pytest.mark.parametrize(
    ("log_format", "line"),
    [
        ("gunicorn", ""),
        ("gunicorn", "[2026-11-20 10:13:30 +0000] [7] [INFO] Booting worker with pid: 7"),
        # Without the duration that has to be configured, and with one that is none.
        ("gunicorn", SAME_REQUEST["gunicorn"][1].removesuffix(" 5000")),
        ("gunicorn", SAME_REQUEST["gunicorn"][1].replace(" 5000", " -5")),
        ("gunicorn", SAME_REQUEST["gunicorn"][1].replace(" 5000", " " + "9" * 40)),
        ("gunicorn", SAME_REQUEST["gunicorn"][1].replace("20/Nov", "99/Nov")),
        ("gunicorn", SAME_REQUEST["gunicorn"][1][40:]),
        ("gunicorn", SAME_REQUEST["gunicorn"][1][:-10]),
        ("nginx", SAME_REQUEST["gunicorn"][1]),
        ("gunicorn", SAME_REQUEST["nginx"][1]),
        ("nginx", '203.0.113.9 - - [20/Nov/2026:10:13:30 +0000] "-" 400 0 "-" "-" 0.000'),
        ("json", "[]"),
        ("json", "{}"),
        ("json", "null"),
        ("json", "[" * 100_000),
        ("json", json.dumps({**CADDY, "duration": None})),
        ("json", json.dumps({**CADDY, "duration": "soon"})),
        ("json", json.dumps({**CADDY, "duration": True})),
        ("json", json.dumps({**CADDY, "duration": -1})),
        ("json", json.dumps({**CADDY, "duration": float("nan")})),
        ("json", json.dumps({**CADDY, "duration": float("inf")})),
        ("json", json.dumps({**CADDY, "ts": 1e300})),
        ("json", json.dumps({**NGINX_JSON, "request": "GET"})),
        ("json", '{"uri":"/","request_time":' + "9" * 5_000 + "}"),
        (CUSTOM, "2026-11-20T10:13:30Z GET /api/feed 200 took 1.2.3ms"),
        (CUSTOM, "2026-13-41T10:13:30Z GET /api/feed 200 took 5ms"),
    ],
)
def test_a_line_that_says_no_duration_is_no_request(log_format: str, line: str) -> None:
    assert parser(log_format)(line) is None


def _pieces() -> st.SearchStrategy[str]:
    """Parts of real lines and of nonsense, so that lines are nearly right."""
    real = [piece for _, line in SAME_REQUEST.values() for piece in line.split(" ")]
    return st.sampled_from([*real, '"', "[", "]", "\\", "\x00", "1e999", "٣", "\ud800"]) | st.text()


@unhurried
@given(log_format=st.sampled_from(FORMATS), pieces=st.lists(_pieces(), max_size=25))
def test_no_line_whatever_is_in_it_raises(log_format: str, pieces: list[str]) -> None:
    request = parser(log_format)(" ".join(pieces))
    assert request is None or request.duration_us >= 0


@unhurried
@given(log_format=st.sampled_from(FORMATS), line=st.binary())
def test_no_bytes_raise(log_format: str, line: bytes) -> None:
    request = parser(log_format)(line.decode("utf-8", "replace"))
    assert request is None or request.duration_us >= 0


def _json_values() -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    return st.recursive(plain, lambda kind: st.lists(kind) | st.dictionaries(st.text(), kind))


@unhurried
@given(
    record=st.dictionaries(
        st.sampled_from([*NGINX_JSON, *CADDY, "uri", "path", "duration_ms", "time", "timestamp"]),
        _json_values(),
    )
)
def test_no_json_whatever_its_types_raises(record: dict[str, Any]) -> None:
    request = parser("json")(json.dumps(record))
    assert request is None or isinstance(request.duration_us, int)


#: What a visitor may write into a header or an address to be taken for the log's own words.
_FORGERY = st.lists(
    st.sampled_from(
        [
            *('"', '\\"', " ", "] ", "[", "\n", "\r", "\t", "\xa0", "\u2028", "\x00", "-", "999"),
            *('" 999', '" 3600.000', '" 200 5 "', "[20/Nov/2026:10:13:30 +0000]"),
            *('"GET /admin/ HTTP/1.1"', '"GET /admin/ HTTP/1.1" 200 1 "-" "x" 999'),
            *('"request_time": 999', '","request_time":"999', '"duration":999', "}", "{"),
        ]
    )
    | st.text(max_size=8),
    max_size=12,
).map("".join)
_ADDRESS = _FORGERY.map(lambda text: "/" + "".join(text.split()))
_HEADER = _FORGERY.map(lambda text: " ".join(text.splitlines()))


def _gunicorn_text(user: str, address: str, referer: str, agent: str) -> str:
    """Return what gunicorn writes, by its own escaping; a user name is free of any rule."""
    atoms = {
        "h": "203.0.113.9",
        "l": "-",
        "u": user or "-",
        "t": "[20/Nov/2026:10:13:30 +0000]",
        "r": f"GET {address} HTTP/1.1",
        "s": "404",
        "b": "12",
        "f": referer,
        "a": agent,
        "D": 5_000,
    }
    form = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
    text: str = form % SafeAtoms(atoms)
    return text


@unhurried
@given(user=_FORGERY, address=_ADDRESS, referer=_HEADER, agent=_HEADER)
def test_no_visitor_of_gunicorn_can_forge_a_duration_a_status_or_a_request(
    user: str, address: str, referer: str, agent: str
) -> None:
    parse = parser("gunicorn")
    lines = _gunicorn_text(user, address, referer, agent).split("\n")
    requests = [request for line in lines if (request := parse(line.rstrip("\r"))) is not None]
    assert [(r.ended_at_ms, r.duration_us, r.status) for r in requests] in (
        [],
        [(AT_MS, 5_000, 404)],
    )


@unhurried
@given(address=_ADDRESS, referer=_HEADER, agent=_HEADER)
def test_a_visitor_of_gunicorn_without_a_user_name_is_always_counted_by_the_path(
    address: str, referer: str, agent: str
) -> None:
    request = parser("gunicorn")(_gunicorn_text("", address, referer, agent))
    assert request is not None
    assert (request.duration_us, request.status) == (5_000, 404)
    assert address.replace('"', '\\"').startswith(request.path)


def _nginx_text(text: str) -> str:
    """Escape as nginx does: control characters, quotes, backslashes and what is not ASCII."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02X}"
        for byte in text.encode("utf-8", "surrogatepass")
    )


@unhurried
@given(user=_FORGERY, address=_ADDRESS, referer=_HEADER, agent=_HEADER)
def test_no_visitor_of_nginx_can_forge_anything(
    user: str, address: str, referer: str, agent: str
) -> None:
    user, address, referer, agent = map(_nginx_text, (user or "-", address, referer, agent))
    line = (
        f'203.0.113.9 - {user} [20/Nov/2026:10:13:30 +0000] "GET {address} HTTP/1.1" 404 12 '
        f'"{referer}" "{agent}" 0.005'
    )
    assert parser("nginx")(line) == Request(AT_MS, 5_000, 404, address.partition("?")[0])


@unhurried
@given(address=_ADDRESS, agent=_FORGERY)
def test_no_visitor_can_forge_anything_in_json(address: str, agent: str) -> None:
    caddy = json.loads(json.dumps(CADDY))
    caddy["request"] |= {"uri": address, "headers": {agent: [agent], "duration": [agent]}}
    nginx = {**NGINX_JSON, "request": f"GET {address} HTTP/1.1", "http_user_agent": agent}
    for record in (caddy, nginx):
        expected = Request(AT_MS, 5_000, 200, address.partition("?")[0])
        assert parser("json")(json.dumps(record)) == expected


_HEAD = '203.0.113.9 - - [20/Nov/2026:10:13:30 +0000] "GET /x HTTP/1.1" 200 12 "-" "'


@pytest.mark.parametrize(
    "line",
    [
        # A user name of brackets with a line feed at its end makes gunicorn write such a line.
        "203.0.113.9 - " + "[" * 16_000,
        "203.0.113.9 - " + "[a" * 8_000,
        _HEAD + "[" * 16_000,
        _HEAD + '"' * 16_000,
        _HEAD + '" 1' * 5_000 + "x",
        "x " + '[20/Nov/2026:10:13:30 +0000] "GET / HTTP/1.1" 200 1 "' * 300,
        _HEAD.replace("/x", "/" + "x" * 16_000),
    ],
    ids=["brackets", "pairs", "agent", "quotes", "durations", "requests", "path"],
)
@pytest.mark.parametrize("log_format", ["gunicorn", "nginx"])
def test_no_line_takes_long_to_refuse(log_format: str, line: str) -> None:
    # While a line is looked at, nothing else in the daemon runs.
    parse = parser(log_format)
    assert parse(line) is None
    assert min(timeit.repeat(lambda: parse(line), number=1, repeat=3)) < 0.02
