"""A load generator that takes its server as it is: workers that end, are killed, cut answers off.

A process of its own that needs the standard library alone: `python -m tests.support.load PORT
CONNECTIONS PATH…` keeps one request in flight on each connection, each to one of PATH, until
SIGTERM, and prints how many answers were whole and how many connections were cut off. Now and then
a visitor sends HEAD, or goes away without waiting.
"""

import contextlib
import json
import random
import re
import selectors
import signal
import socket
import sys
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.IGNORECASE)
_GOES_AWAY, _SENDS_HEAD = 0.01, 0.03


@dataclass
class _Visitor:
    socket: socket.socket
    is_head: bool = False
    received: bytes = b""


class _Load:
    def __init__(self, port: int, paths: list[str]) -> None:
        self._port, self._paths = port, paths
        self._selector = selectors.DefaultSelector()
        self.answers = self.cut_off = 0

    def come(self) -> None:
        """Open a connection and send a request on it."""
        opened = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        visitor = _Visitor(opened)
        self._selector.register(opened, selectors.EVENT_READ, visitor)
        self._ask(visitor)

    def go_on(self) -> None:
        """Take what has arrived, and let each visitor whose answer is whole ask again."""
        for key, _ in self._selector.select(1.0):
            visitor: _Visitor = key.data
            chunk = b""
            with contextlib.suppress(OSError):
                chunk = visitor.socket.recv(65_536)
            visitor.received += chunk
            if chunk and not _is_whole(visitor):
                continue
            self.answers += _is_whole(visitor)
            self.cut_off += not _is_whole(visitor)
            if not chunk or _CLOSE.search(visitor.received):
                self._leave(visitor)
                self.come()
            else:
                self._ask(visitor)

    def _ask(self, visitor: _Visitor) -> None:
        visitor.is_head, visitor.received = random.random() < _SENDS_HEAD, b""
        method = "HEAD" if visitor.is_head else "GET"
        request = (
            f"{method} {random.choice(self._paths)}?page=2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        # A server that has closed the connection says so when it is read.
        with contextlib.suppress(OSError):
            visitor.socket.sendall(request.encode())
        if random.random() < _GOES_AWAY:
            self._leave(visitor)
            self.come()

    def _leave(self, visitor: _Visitor) -> None:
        self._selector.unregister(visitor.socket)
        visitor.socket.close()


def _is_whole(visitor: _Visitor) -> bool:
    head, end, body = visitor.received.partition(b"\r\n\r\n")
    if not end:
        return False
    if visitor.is_head:
        return True
    length = _LENGTH.search(head + b"\r\n")
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def main() -> None:
    """Do what the arguments say until SIGTERM, and print what came of it."""
    port, connections, *paths = sys.argv[1:]
    ends: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ends.append(number))
    load = _Load(int(port), paths)
    for _ in range(int(connections)):
        load.come()
    while not ends:
        load.go_on()
    print(json.dumps({"answers": load.answers, "cut_off": load.cut_off}))


if __name__ == "__main__":
    main()
