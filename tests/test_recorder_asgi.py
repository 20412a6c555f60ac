"""The recorder in an ASGI application: it tells what happened, and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.requests import Request
from recorder import AsgiLatencyRecorder
from tests.support.rings import RingReader

Send = Callable[[Any], Awaitable[None]]

_START = {"type": "http.response.start", "status": 201, "headers": []}


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _ask(app: Any, kind: str = "http", **scope: Any) -> list[Any]:
    """Call `app` as a server does, and return what it sent."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nobody asked for a body")

    asyncio.run(app({"type": kind, "method": "GET", "path": "/asked", **scope}, receive, send))
    return sent


def _recorded(directory: Path) -> list[Request]:
    return list(RingReader(directory).read_new())


def test_a_request_is_recorded_with_its_status_and_path_and_passes_unchanged(
    tmp_path: Path,
) -> None:
    messages = [_START, {"type": "http.response.body", "body": b"all"}]

    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        for message in messages:
            await send(message)

    assert _ask(AsgiLatencyRecorder(application, tmp_path)) == messages
    (request,) = _recorded(tmp_path)
    assert (request.status, request.path) == (201, "/asked")
    assert 0 < request.duration_us < 1_000_000


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_no_request_passes_and_is_not_recorded(tmp_path: Path, kind: str) -> None:
    async def application(scope: Any, _receive: Any, send: Send) -> None:
        await send({"type": f"{scope['type']}.told"})

    assert _ask(AsgiLatencyRecorder(application, tmp_path), kind) == [{"type": f"{kind}.told"}]
    assert _recorded(tmp_path) == []


def test_a_streamed_response_lasts_until_its_last_part_and_not_until_what_comes_after(
    tmp_path: Path,
) -> None:
    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        await send(_START)
        for number in range(4):
            await asyncio.sleep(0.03)
            await send(_part(b"x", more=number < 3))
        await asyncio.sleep(0.5)  # a background task

    assert len(_ask(AsgiLatencyRecorder(application, tmp_path))) == 5
    (request,) = _recorded(tmp_path)
    assert 120_000 <= request.duration_us < 500_000


@pytest.mark.parametrize(("messages", "status"), [([], 500), ([_START], 201)])
def test_an_exception_is_a_failure_unless_the_visitor_has_a_status_already(
    tmp_path: Path, messages: list[Any], status: int
) -> None:
    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        for message in messages:
            await send(message)
        raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        _ask(AsgiLatencyRecorder(application, tmp_path))
    assert [request.status for request in _recorded(tmp_path)] == [status]


def test_an_exception_after_the_response_is_no_second_record(tmp_path: Path) -> None:
    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        await send(_START)
        await send(_part(b"all", more=False))
        raise LookupError("of a background task")

    with pytest.raises(LookupError):
        _ask(AsgiLatencyRecorder(application, tmp_path))
    assert [request.status for request in _recorded(tmp_path)] == [201]


def test_a_client_that_goes_away_while_it_is_sent_to_is_recorded_once(tmp_path: Path) -> None:
    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        await send(_START)
        while True:
            await send(_part(b"x"))

    sent = 0

    async def send(_message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise OSError("the client is gone")

    scope = {"type": "http", "method": "GET", "path": "/forever"}
    with pytest.raises(OSError, match="the client is gone"):
        asyncio.run(AsgiLatencyRecorder(application, tmp_path)(scope, None, send))  # type: ignore[arg-type]
    assert [(r.status, r.path) for r in _recorded(tmp_path)] == [(201, "/forever")]


def test_a_request_that_is_cancelled_before_its_answer_has_no_status(tmp_path: Path) -> None:
    async def application(_scope: Any, _receive: Any, _send: Send) -> None:
        await asyncio.sleep(60)

    async def give_up() -> None:
        scope = {"type": "http", "method": "GET", "path": "/slow"}
        app = AsgiLatencyRecorder(application, tmp_path)
        await asyncio.wait_for(app(scope, None, None), 0.02)  # type: ignore[arg-type]

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert [request.status for request in _recorded(tmp_path)] == [0]


def test_requests_side_by_side_are_recorded_each_by_itself(tmp_path: Path) -> None:
    async def application(scope: Any, _receive: Any, send: Send) -> None:
        number = int(scope["path"][1:])
        await send({"type": "http.response.start", "status": 200 + number})
        await asyncio.sleep(0.01 * (number % 5))
        await send(_part(b"", more=False))

    async def ignore(_message: Any) -> None:
        return

    async def ask_all() -> None:
        app = AsgiLatencyRecorder(application, tmp_path)
        scopes = [{"type": "http", "method": "GET", "path": f"/{n}"} for n in range(50)]
        await asyncio.gather(*[app(scope, None, ignore) for scope in scopes])  # type: ignore[arg-type]

    asyncio.run(ask_all())
    recorded = sorted((r.status, r.path) for r in _recorded(tmp_path))
    assert recorded == sorted((200 + n, f"/{n}") for n in range(50))


def test_a_path_is_recorded_in_the_bytes_that_the_visitor_sent(tmp_path: Path) -> None:
    async def application(_scope: Any, _receive: Any, send: Send) -> None:
        await send(_START)

    app = AsgiLatencyRecorder(application, tmp_path)
    for path in ("/ä€", "/\udc80", "/" + "€" * 200, ""):
        _ask(app, path=path)
    first, *rest = [request.path for request in _recorded(tmp_path)]
    assert first == "/ä€"
    # 88 bytes: a slash and 29 signs of three.
    assert rest[1] == "/" + "€" * 29
    assert [len(rest[0]), rest[2]] == [2, ""]


@pytest.mark.parametrize("status", [None, "200", -1, 70_000])
def test_a_strange_status_harms_nothing_and_the_next_request_is_recorded(
    tmp_path: Path, status: Any
) -> None:
    async def application(scope: Any, _receive: Any, send: Send) -> None:
        code = status if scope["path"] == "/strange" else 204
        await send({"type": "http.response.start", "status": code})

    app = AsgiLatencyRecorder(application, tmp_path)
    assert _ask(app, path="/strange") == [{"type": "http.response.start", "status": status}]
    _ask(app, path="/next")
    assert [request.status for request in _recorded(tmp_path)] == [0, 204]
