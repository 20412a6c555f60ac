"""From an exception to a public reason of the closed list in `store.reasons`."""

import errno
import socket
import ssl
from collections.abc import Iterator

from store.reasons import REASONS

_ERRNO_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.ETIMEDOUT: "timeout",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ENOENT: "no_file",
    errno.ENOTDIR: "no_file",
}


class SampleError(Exception):
    """A value that could not be had. `reason` is public, `detail` is for the log only."""

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            msg = f"{reason} is not in the closed list of reasons"
            raise ValueError(msg)
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and everything that it was raised from, or carries in its arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def network_reason(error: BaseException) -> str | None:
    """Return the reason for an error of sockets, TLS or name resolution, None for any other."""
    for one in causes(error):
        if isinstance(one, socket.gaierror):
            return "dns"
        if isinstance(one, ssl.SSLError):
            return "tls"
        if isinstance(one, TimeoutError):
            return "timeout"
        if isinstance(one, ConnectionResetError):  # http.client's own has no number
            return "reset"
        if isinstance(one, OSError) and one.errno in _ERRNO_REASONS:
            return _ERRNO_REASONS[one.errno]
    return None
