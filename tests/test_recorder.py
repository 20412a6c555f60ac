"""The recorder in a WSGI application: it tells what happened, and changes nothing."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.requests import Request
from recorder import LatencyRecorder
from tests.support.rings import RingReader
from tests.support.wsgi_calls import HELLO, call, environ_of, hello

Start = Callable[..., Any]


def _recorded(directory: Path) -> list[Request]:
    return list(RingReader(directory).read_new())


def _statuses(directory: Path) -> list[int]:
    return [request.status for request in _recorded(directory)]


def test_a_request_is_recorded_with_its_status_and_path_and_without_its_query(
    tmp_path: Path,
) -> None:
    app = LatencyRecorder(hello, tmp_path)
    assert call(app, environ_of("/watch/abc")) == HELLO
    (request,) = _recorded(tmp_path)
    assert (request.status, request.path) == (200, "/watch/abc")
    assert 0 < request.duration_us < 1_000_000


def test_the_path_is_the_visitors_also_when_the_application_rewrites_it(tmp_path: Path) -> None:
    def rewriting(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/inner", "/rewritten"
        return hello(environ, start_response)

    assert call(LatencyRecorder(rewriting, tmp_path), environ_of("/asked")) == HELLO
    environ = {**environ_of("/asked"), "SCRIPT_NAME": "/mounted"}
    assert call(LatencyRecorder(rewriting, tmp_path), environ) == HELLO
    assert {request.path for request in _recorded(tmp_path)} == {"/asked", "/mounted/asked"}


def test_a_streamed_response_lasts_until_it_is_closed(tmp_path: Path) -> None:
    pause = threading.Event()

    def stream(_environ: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        for part in (b"a", b"b"):
            pause.wait(0.05)
            yield part

    assert call(LatencyRecorder(stream, tmp_path)) == ("200 OK", b"ab")
    (request,) = _recorded(tmp_path)
    assert 100_000 <= request.duration_us < 1_000_000


def test_a_client_that_goes_away_in_the_middle_is_recorded_once(tmp_path: Path) -> None:
    closed = []

    def stream(_environ: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            yield b"a"
            yield b"b"
            yield b"c"
        finally:
            closed.append(True)

    response = LatencyRecorder(stream, tmp_path)(environ_of(), lambda *_: None)
    parts = iter(response)
    assert (next(parts), next(parts)) == (b"a", b"b")
    del parts
    assert closed == [], "the application's iterator is closed by the server alone"
    response.close()  # type: ignore[attr-defined]
    response.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert _statuses(tmp_path) == [200]


def test_an_exception_is_recorded_as_a_failure_of_the_server_and_passes_on(
    tmp_path: Path,
) -> None:
    def fail(_environ: Any, _start_response: Any) -> Iterable[bytes]:
        raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        call(LatencyRecorder(fail, tmp_path))
    assert _statuses(tmp_path) == [500]


@pytest.mark.parametrize(("sent", "status"), [((), 500), ((b"a", b"b"), 200)])
def test_an_exception_in_a_stream_is_a_failure_unless_the_visitor_has_a_status_already(
    tmp_path: Path, sent: tuple[bytes, ...], status: int
) -> None:
    def fail(_environ: Any, start_response: Start) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from sent
        raise LookupError("of the application")

    with pytest.raises(LookupError, match="of the application"):
        call(LatencyRecorder(fail, tmp_path))
    assert _statuses(tmp_path) == [status]


def test_an_exception_of_the_close_passes_on_after_the_record(tmp_path: Path) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"hello"])

        def close(self) -> None:
            raise LookupError("of the close")

    def app(_environ: Any, start_response: Start) -> Body:
        start_response("200 OK", [])
        return Body()

    with pytest.raises(LookupError, match="of the close"):
        call(LatencyRecorder(app, tmp_path))
    assert _statuses(tmp_path) == [200]


def test_an_error_page_in_the_place_of_a_started_response_is_what_counts(tmp_path: Path) -> None:
    def app(_environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        # By its name, as some applications call it.
        start_response("503 Away", [], exc_info=(LookupError, LookupError("gone"), None))
        return [b"sorry"]

    seen: list[Any] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> None:
        seen.append((status, exc_info and exc_info[0]))

    response = LatencyRecorder(app, tmp_path)(environ_of(), start)
    assert list(response) == [b"sorry"]
    response.close()  # type: ignore[attr-defined]
    assert seen == [("200 OK", None), ("503 Away", LookupError)]
    assert _statuses(tmp_path) == [503]


def test_what_start_response_returns_can_be_written_with(tmp_path: Path) -> None:
    written: list[bytes] = []

    def app(_environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])(b"old style")
        return []

    LatencyRecorder(app, tmp_path)(environ_of(), lambda *_: written.append)
    assert written == [b"old style"]


@pytest.mark.parametrize("status", ["", "OK", "-12 Odd", None, "99999", b"200 OK"])
def test_a_strange_status_harms_nothing_and_the_next_request_is_recorded(
    tmp_path: Path, status: Any
) -> None:
    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response(status, []) if environ["PATH_INFO"] == "/strange" else None
        start_response("204 No Content", []) if environ["PATH_INFO"] == "/next" else None
        return [b""]

    recording = LatencyRecorder(app, tmp_path)
    assert call(recording, environ_of("/strange")) == (status, b"")
    assert call(recording, environ_of("/next")) == ("204 No Content", b"")
    strange, following = _statuses(tmp_path)
    assert strange in (0, 200, 999)
    assert following == 204


@pytest.mark.parametrize("path", ["/" + "ä" * 200, "/\udc80", "", "/" + "x" * 10_000, None])
def test_a_strange_path_is_cut_and_harms_nothing(tmp_path: Path, path: Any) -> None:
    app = LatencyRecorder(hello, tmp_path)
    assert call(app, environ_of(path)) == HELLO
    assert call(app, {"wsgi.file_wrapper": None}) == HELLO
    first, second = _recorded(tmp_path)
    assert len(first.path) <= 88
    assert second.path == ""


def test_a_body_has_a_length_if_and_only_if_the_applications_has(tmp_path: Path) -> None:
    bodies: list[Any] = [[b"a"], (b"a", b"b"), [], iter([b"a"]), (part for part in (b"a",))]
    for body in bodies:
        response: Any = LatencyRecorder(lambda *_, body=body: body, tmp_path)(environ_of(), hello)
        assert hasattr(response, "__len__") == hasattr(body, "__len__")
        if hasattr(body, "__len__"):
            assert len(response) == len(body)
            assert bool(response) == bool(body)
        assert list(response) in ([b"a"], [b"a", b"b"], [])


class _FileWrapper:
    """What a server puts into `wsgi.file_wrapper`."""

    def __init__(self, file: Any, _size: int = 8192) -> None:
        self.file = file

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.file.read(3), b"")

    def close(self) -> None:
        self.file.close()


class _ClosedFileWrapper(_FileWrapper):
    """One that takes no attributes, as those written in C do not."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "file":
            raise AttributeError(name)
        super().__setattr__(name, value)


@pytest.mark.parametrize(
    ("wrapper", "is_kept"),
    [
        pytest.param(_FileWrapper, True, id="a class, as most servers have"),
        pytest.param(lambda file, _size=0: file, True, id="a function, as uWSGI has"),
        pytest.param(_ClosedFileWrapper, False, id="a class that takes no attributes"),
    ],
)
def test_a_file_reaches_the_server_as_the_object_that_it_knows_and_is_recorded_at_its_close(
    tmp_path: Path, wrapper: Callable[..., Any], is_kept: bool
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    returned = []

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        returned.append(environ["wsgi.file_wrapper"](file.open("rb"), 8192))
        body: Iterable[bytes] = returned[0]
        return body

    environ = {**environ_of("/file"), "wsgi.file_wrapper": wrapper}
    response: Any = LatencyRecorder(app, tmp_path)(environ, lambda *_: None)
    assert (response is returned[0]) == is_kept
    assert b"".join(response) == b"0123456789"
    assert _recorded(tmp_path) == []
    response.close()
    response.close()
    assert getattr(returned[0], "file", returned[0]).closed
    assert [request.path for request in _recorded(tmp_path)] == ["/file"]


class _File:
    """What `wsgi.file_wrapper` makes: a server that finds one sends it without reading it."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        pass


class _Sized(list[bytes]):
    pass


def test_each_response_keeps_its_form_whichever_came_before_it(tmp_path: Path) -> None:
    forms: list[Callable[[], Iterable[bytes]]] = [
        lambda: iter([b"a", b"b"]),
        lambda: _File([b"file"]),
        lambda: [b"list"],
        lambda: iter([b"c"]),
        lambda: _Sized([b"sized"]),
        lambda: (b"tuple",),
        lambda: _File([b"another"]),
    ]
    made: list[Iterable[bytes]] = []

    def app(_environ: Any, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        made.append(forms[len(made) % len(forms)]())
        return made[-1]

    recorded = LatencyRecorder(app, tmp_path)
    for number in range(3 * len(forms)):
        environ = {**environ_of(f"/{number}"), "wsgi.file_wrapper": _File}
        response = recorded(environ, lambda *_: None)
        body = made[-1]
        assert (response is body) == isinstance(body, _File)
        assert hasattr(response, "__len__") == isinstance(body, list | tuple)
        assert b"".join(response) == b"".join(forms[number % len(forms)]())
        response.close()
        response.close()
    paths = [request.path for request in _recorded(tmp_path)]
    assert paths == [f"/{number}" for number in range(3 * len(forms))]
