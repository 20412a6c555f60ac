"""What caches may do with a snapshot: the newest until its successor is due, old ones for ever."""

from typing import Final

from flask import Response, request

_A_YEAR_S: Final = 31_536_000
IMMUTABLE: Final = f"public, max-age={_A_YEAR_S}, immutable"
#: For what may be another answer each time: keep it, but ask whether it is still the same.
REVALIDATE: Final = "no-cache"


def until(due_at_ms: int, now_ms: int) -> str:
    """Return the Cache-Control of what is the newest until `due_at_ms` (both Unix ms)."""
    left_s = (due_at_ms - now_ms) // 1000
    return f"public, max-age={left_s}, must-revalidate" if left_s > 0 else REVALIDATE


def conditional(body: bytes, content_type: str, identity: str, cache_control: str) -> Response:
    """Return `body`, or 304 when the visitor has what `identity` names.

    The tag is weak because nginx drops strong ones when it compresses.
    """
    tag = f'W/"{identity}"'
    headers = [("ETag", tag), ("Cache-Control", cache_control)]
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if known is not None and (known == tag or request.if_none_match.contains_weak(identity)):
        return Response(status="304 NOT MODIFIED", headers=headers)
    return Response(body, headers=[*headers, ("Content-Type", content_type)])
