"""Headers that every answer carries: what the page may load, and that nobody may frame it.

Added below Flask, as WSGI middleware, so that no answer of whatever kind can be without them.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
#: On every answer.
HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
#: What means something for a document alone; on data it would cost 2 % of an answer.
DOCUMENT_HEADERS: Final = (
    *HEADERS,
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_DATA: Final = ("Content-Type", "application/json")

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def with_security_headers(app: WsgiApp) -> WsgiApp:
    """Return `app` with the headers on every answer."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            ours = HEADERS if _DATA in headers else DOCUMENT_HEADERS
            return start_response(status, [*headers, *ours], exc_info)

        return app(environ, start)

    return answer
