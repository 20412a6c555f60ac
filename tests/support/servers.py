"""Real HTTP servers on loopback that behave, and ones that misbehave in one way each."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Self

#: Handles one accepted connection; `stop` is set when the server is closed.
Behaviour = Callable[[socket.socket, threading.Event], None]


class RawServer:
    """Accepts connections on 127.0.0.1 and lets `behaviour` handle each in a thread."""

    def __init__(self, behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self.stop = threading.Event()
        self.connections = 0
        self._behaviour, self._tls = behaviour, tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/health"

    def close(self) -> None:
        self.stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self.stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._behaviour(connection, self.stop)
            connection.close()


def _read_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(4096)
        if not chunk:
            return
        data += chunk


def answers(
    body: bytes, status: str = "200 OK", delay_s: float = 0.0, extra: str = ""
) -> Behaviour:
    def behave(connection: socket.socket, _stop: threading.Event) -> None:
        _read_request(connection)
        time.sleep(delay_s)
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        connection.sendall(head.encode() + body)

    return behave


def healthy(delay_s: float = 0.0, **more: object) -> Behaviour:
    told = {"ok": True, "version": "1.2.0", "uptime_s": 274_000, **more}
    return answers(json.dumps(told).encode(), delay_s=delay_s)


def hangs(connection: socket.socket, stop: threading.Event) -> None:
    stop.wait()


def drips_header(connection: socket.socket, stop: threading.Event) -> None:
    _read_request(connection)
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000:
        connection.sendall(bytes([byte]))
        if stop.wait(0.1):
            return


def drips_body(connection: socket.socket, stop: threading.Event) -> None:
    _read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not stop.wait(0.1):
        connection.sendall(b"a")


def resets(connection: socket.socket, _stop: threading.Event) -> None:
    _read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes_without_answer(connection: socket.socket, _stop: threading.Event) -> None:
    _read_request(connection)


def hangs_up_at_once(connection: socket.socket, _stop: threading.Event) -> None:
    """Closes before the client has said anything."""


def sends_garbage(connection: socket.socket, _stop: threading.Event) -> None:
    _read_request(connection)
    connection.sendall(bytes(range(256)) * 8)


def answers_100_mb(connection: socket.socket, stop: threading.Event) -> None:
    _read_request(connection)
    size = 100_000_000
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size // 100_000):
        if stop.is_set():
            return
        connection.sendall(b"x" * 100_000)


def redirects_to(url: str) -> Behaviour:
    return answers(b"", status="302 Found", extra=f"Location: {url}\r\n")


def refused_url() -> str:
    """Return an address on loopback where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}/health"


class CountedFlood:
    """A behaviour that answers with `size` bytes and notes in `sent` how many it got rid of."""

    def __init__(self, size: int = 100_000_000) -> None:
        self.size, self.sent = size, 0

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        _read_request(connection)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {self.size}\r\n\r\n"
        connection.sendall(head.encode())
        block = b"x" * 100_000
        while self.sent < self.size and not stop.is_set():
            self.sent += connection.send(block)


def sends_an_endless_header(connection: socket.socket, stop: threading.Event) -> None:
    _read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not stop.is_set():
        connection.sendall(b"a" * 100_000)


def continues_for_ever(connection: socket.socket, stop: threading.Event) -> None:
    """Sends one interim answer after the other, and never the final one."""
    _read_request(connection)
    while not stop.wait(0.01):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


def cuts_the_body_short(connection: socket.socket, _stop: threading.Event) -> None:
    _read_request(connection)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"ok": tr')


def refuses_in_plain_text(connection: socket.socket, _stop: threading.Event) -> None:
    """Answers whatever comes first, a TLS greeting too, in plain HTTP."""
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def drips_a_tls_handshake(connection: socket.socket, stop: threading.Event) -> None:
    """Announces a TLS handshake record of 16 KB and sends a byte of it every 0.1 s."""
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not stop.wait(0.1):
        connection.sendall(b"\x02")


@contextmanager
def full_backlog() -> Iterator[str]:
    """Yield the URL of a listener whose queue is full: the kernel drops every new SYN."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        address = listener.getsockname()
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.1)
            try:
                waiting.connect(address)
            except TimeoutError:
                break
        yield f"http://127.0.0.1:{address[1]}/health"
