"""requests' transport with its phases timed and its whole length bounded.

requests bounds each socket operation, not the whole, and its pooled connections hide what the
phases cost. Here every request opens a connection of its own through urllib3's connection classes,
which note when each phase ended, and keep a second handle on the socket through which another
thread can cut the request off.
"""

import socket
import ssl
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InsecureRequestWarning

if TYPE_CHECKING:
    from requests.adapters import _HostParams, _PoolKwargs


@dataclass
class Stopwatch:
    """When each phase of a probe ended, in `perf_counter` seconds, and a handle to cut it off."""

    deadline: float = float("inf")
    began: float = 0.0
    resolved: float = 0.0
    connected: float = 0.0
    secured: float = 0.0
    answered: float = 0.0
    stage: str = "dns"
    handle: socket.socket | None = None
    cut_off: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, timeout_s: float) -> None:
        """Start the watch; the whole request has `timeout_s` seconds."""
        self.began = self.resolved = self.connected = self.secured = time.perf_counter()
        self.deadline = self.began + timeout_s

    def is_over(self) -> bool:
        """Say whether the deadline has passed."""
        return time.perf_counter() > self.deadline

    def left_s(self) -> float:
        """Seconds until the deadline; raises TimeoutError when there are none."""
        left_s = self.deadline - time.perf_counter()
        if left_s <= 0:
            msg = "the probe's deadline has passed"
            raise TimeoutError(msg)
        return left_s

    def phases_ms(self) -> list[float]:
        """Return how long dns, connect, tls and first byte took, in milliseconds."""
        marks = (self.began, self.resolved, self.connected, self.secured, self.answered)
        return [round((end - start) * 1000, 2) for start, end in pairwise(marks)]

    def hold(self, opened: socket.socket) -> None:
        """Keep a second descriptor of the connection: TLS takes the first one away."""
        with self.lock:
            self.handle = opened.dup()
            if self.cut_off:
                _shut_down(self.handle)

    def cut(self) -> None:
        """Cut the request off; to be called from another thread."""
        with self.lock:
            self.cut_off = True
            if self.handle is not None:
                _shut_down(self.handle)

    def release(self) -> None:
        """Close the second descriptor; to be called when the request is over."""
        with self.lock:
            if self.handle is not None:
                self.handle.close()
                self.handle = None


current_stopwatch: ContextVar[Stopwatch] = ContextVar("probe_stopwatch")


@cache
def tls_context(verify_tls: bool, ca_file: str | None) -> ssl.SSLContext:
    """Return the context of all probes of a kind: loading authorities takes 10 ms each time."""
    if not verify_tls:
        # The operator said so in the file; once a tick in the log would be noise.
        urllib3.disable_warnings(InsecureRequestWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=ca_file or certifi.where())


class TimedAdapter(HTTPAdapter):
    """requests' transport over the timed connections, with a TLS context that is ready-made."""

    def __init__(self, tls_context: ssl.SSLContext | None) -> None:
        self._tls_context = tls_context
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the pool manager with our connection classes."""
        if self._tls_context is not None:
            kwargs["ssl_context"] = self._tls_context
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: bool | str,
        cert: str | tuple[str, str] | None = None,
    ) -> "tuple[_HostParams, _PoolKwargs]":
        """Return where to connect, and no TLS setting but the context."""
        host, tls = super().build_connection_pool_key_attributes(request, verify, cert)
        if self._tls_context is None:
            return host, tls
        verified = self._tls_context.verify_mode is ssl.CERT_REQUIRED
        return host, {
            "ssl_context": self._tls_context,
            "cert_reqs": "CERT_REQUIRED" if verified else "CERT_NONE",
        }

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """Leave the connection alone: the context knows what to verify."""


class _TimedHttp(HTTPConnection):
    """Notes the ends of name resolution and connection, bounded by the probe's deadline."""

    def _new_conn(self) -> socket.socket:
        watch = current_stopwatch.get()
        found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        watch.resolved = time.perf_counter()
        watch.stage = "connect"
        opened = _first_that_connects([address[:2] for *_, address in found], watch)
        try:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watch.connected = watch.secured = time.perf_counter()
            watch.stage = "first byte"
            watch.hold(opened)
            self.timeout = watch.left_s()
            opened.settimeout(self.timeout)
        except BaseException:
            # Nobody else knows of it yet: the deadline may pass right here.
            opened.close()
            raise
        return opened


class _TimedHttps(_TimedHttp, HTTPSConnection):
    """Notes the end of the TLS handshake as well."""

    def connect(self) -> None:
        super().connect()
        watch = current_stopwatch.get()
        watch.secured = time.perf_counter()


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _TimedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHttps


def _first_that_connects(addresses: list[tuple[Any, ...]], watch: Stopwatch) -> socket.socket:
    failure: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address[0], address[1]), timeout=watch.left_s())
        except OSError as error:
            failure = failure or error
    raise failure or socket.gaierror("the name has no address")


def _shut_down(handle: socket.socket) -> None:
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more: there is nothing left to cut off
