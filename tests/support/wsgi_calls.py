"""Calling a WSGI application as a server does, without one."""

from collections.abc import Callable, Iterable
from typing import Any

Wsgi = Callable[..., Iterable[bytes]]


def environ_of(path: str = "/watch/abc", method: str = "GET") -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "x=1"}


def hello(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


#: What `call` returns for `hello`.
HELLO = ("200 OK", b"hello")


def call(app: Wsgi, environ: dict[str, Any] | None = None) -> tuple[str, bytes]:
    """Start, iterate, close; return the status line and the body."""
    told: list[str] = []
    response = app(
        environ or environ_of(), lambda status, _headers, _exc_info=None: told.append(status)
    )
    try:
        body = b"".join(response)
    finally:
        if (close := getattr(response, "close", None)) is not None:
            close()
    return told[-1], body
