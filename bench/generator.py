"""The load generator: keep-alive connections, one request in flight on each, answers counted.

A process of its own that needs the standard library alone:
`python -m bench.generator PORT PATH [--etag TAG] [--connections N] [--seconds S] [--most N]`
prints one JSON object: `answers`, `seconds`, `statuses`, and of the last answer `etag` and
`body_bytes`.
"""

import argparse
import json
import re
import selectors
import socket
import time
from collections import Counter
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: *([^\r]+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_NOT_MODIFIED = b"304"
_READ_BYTES = 262_144
_SILENCE_S = 10.0


@dataclass
class _Exchange:
    """One connection and what has arrived of the answer to the request on it."""

    socket: socket.socket
    received: bytes = b""


@dataclass
class Tally:
    """How many answers came, with which statuses, and the last of them."""

    answers: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    last_head: bytes = b""
    last_body_bytes: int = 0


def request_for(port: int, path: str, etag: str | None = None) -> bytes:
    """Return a request for `path`; with `etag` for what is newer than that."""
    condition = f"If-None-Match: {etag}\r\n" if etag else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n"
        f"Accept: application/json\r\n{condition}\r\n"
    ).encode()


def drive(port: int, request: bytes, connections: int, seconds: float, most: int) -> Tally:
    """Send `request` again and again until `seconds` have passed or `most` answers have come."""
    tally = Tally()
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            _open(selector, port, request)
        ends = time.perf_counter() + seconds
        while tally.answers < most and time.perf_counter() < ends:
            ready = selector.select(_SILENCE_S)
            if not ready:
                raise TimeoutError(f"no answer within {_SILENCE_S:g} s")
            for key, _ in ready:
                exchange: _Exchange = key.data
                if _receive(exchange, tally):
                    exchange.socket.sendall(request)
                elif exchange.socket.fileno() < 0:
                    selector.unregister(key.fd)
                    _open(selector, port, request)
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return tally


def _open(selector: selectors.BaseSelector, port: int, request: bytes) -> None:
    opened = socket.create_connection(("127.0.0.1", port), timeout=_SILENCE_S)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    selector.register(opened, selectors.EVENT_READ, _Exchange(opened))
    opened.sendall(request)


def _receive(exchange: _Exchange, tally: Tally) -> bool:
    """Read what is there; say whether an answer is whole and the connection takes another.

    A connection that the server ends is closed here.
    """
    chunk = exchange.socket.recv(_READ_BYTES)
    if not chunk:
        if exchange.received:
            raise ConnectionError("the connection ended within an answer")
        exchange.socket.close()
        return False
    exchange.received += chunk
    head_ends = exchange.received.find(b"\r\n\r\n")
    if head_ends < 0:
        return False
    head_bytes = head_ends + 4
    head = exchange.received[:head_bytes]
    body_bytes = _body_bytes(head)
    if len(exchange.received) < head_bytes + body_bytes:
        return False
    exchange.received = b""
    tally.answers += 1
    tally.statuses[head[9:12].decode()] += 1
    tally.last_head, tally.last_body_bytes = head, body_bytes
    if _CLOSE.search(head):
        exchange.socket.close()
        return False
    return True


def _body_bytes(head: bytes) -> int:
    if head[9:12] == _NOT_MODIFIED:
        return 0
    found = _LENGTH.search(head)
    if found is None:
        raise ValueError("an answer without Content-Length")
    return int(found[1])


def main() -> None:
    """Do what the arguments say and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--etag")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--most", type=int, default=10**9)
    told = parser.parse_args()
    request = request_for(told.port, told.path, told.etag)
    began = time.perf_counter()
    tally = drive(told.port, request, told.connections, told.seconds, told.most)
    etag = _ETAG.search(tally.last_head)
    answer = {
        "answers": tally.answers,
        "seconds": time.perf_counter() - began,
        "statuses": tally.statuses,
        "etag": etag[1].decode() if etag else None,
        "body_bytes": tally.last_body_bytes,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
