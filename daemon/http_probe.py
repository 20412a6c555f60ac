"""One GET with its phases timed and its whole length bounded, name resolution and drips included.

`requests` bounds each socket operation, not the whole, and its pooled connections hide what the
phases cost. So every probe opens a connection of its own through urllib3's connection classes,
which note when each phase ended, and keeps a second handle on the socket through which another
thread can cut a probe off.
"""

import socket
import ssl
import threading
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from daemon.failures import SampleError, causes, network_reason

if TYPE_CHECKING:
    from requests.adapters import _HostParams, _PoolKwargs

#: Of an answer no more than this is read, in bytes: health answers are small.
MOST_BYTES = 4096


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: status, round-trip time until its header was complete, first bytes.

    `phases_ms` has dns, connect, tls (None without TLS) and first_byte; they add up to `rtt_ms`.
    """

    status: int
    rtt_ms: float
    phases_ms: dict[str, float | None]
    body: bytes


@dataclass
class _Stopwatch:
    """When each phase of a probe ended, in `perf_counter` seconds, and a handle to cut it off."""

    deadline: float
    began: float = 0.0
    resolved: float = 0.0
    connected: float = 0.0
    secured: float = 0.0
    answered: float = 0.0
    stage: str = "dns"
    handle: socket.socket | None = None
    cut_off: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def left_s(self) -> float:
        """Seconds until the deadline; raises TimeoutError when there are none."""
        left_s = self.deadline - time.perf_counter()
        if left_s <= 0:
            msg = "the probe's deadline has passed"
            raise TimeoutError(msg)
        return left_s


_current: ContextVar[_Stopwatch] = ContextVar("probe_stopwatch")


class Probe:
    """One GET of `url`. `run` is called in one thread, `give_up` may be called in another."""

    def __init__(
        self, url: str, *, timeout_s: float, verify_tls: bool = True, ca_file: str | None = None
    ) -> None:
        """Prepare, without touching the network. `timeout_s` bounds the whole probe."""
        self._url, self._timeout_s = url, timeout_s
        self._tls = (verify_tls, ca_file)
        self._stopwatch = _Stopwatch(deadline=float("inf"))

    def run(self) -> Answer:
        """Return the answer, whatever its status; redirects are not followed.

        Raises SampleError when there is none in time or it is not HTTP.
        """
        watch = self._stopwatch
        _current.set(watch)
        session = requests.Session()
        session.trust_env = False
        session.headers.update(
            {"User-Agent": "opsnap", "Connection": "close", "Accept-Encoding": "identity"}
        )
        session.mount("http://", _TimedAdapter(None))
        has_tls = self._url.lower().startswith("https:")
        if has_tls:
            session.mount("https://", _TimedAdapter(_tls_context(*self._tls)))
        watch.began = watch.resolved = watch.connected = watch.secured = time.perf_counter()
        watch.deadline = watch.began + self._timeout_s
        try:
            with (
                session,
                session.get(
                    self._url, stream=True, allow_redirects=False, timeout=self._timeout_s
                ) as response,
            ):
                watch.answered = time.perf_counter()
                watch.stage = "body"
                body = response.raw.read(MOST_BYTES)
                if time.perf_counter() > watch.deadline:
                    raise SampleError("timeout", "the answer's end came after the deadline")
                return Answer(response.status_code, *_phases(watch, has_tls=has_tls), body)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            raise SampleError(self._reason(error), f"{watch.stage}: {error!r}") from error
        finally:
            with watch.lock:
                if watch.handle is not None:
                    watch.handle.close()
                    watch.handle = None

    def give_up(self) -> SampleError:
        """Cut the probe off from another thread and return what to report for it."""
        watch = self._stopwatch
        with watch.lock:
            watch.cut_off = True
            if watch.handle is not None:
                _shut_down(watch.handle)
        reason = "dns" if watch.stage == "dns" else "timeout"
        return SampleError(reason, f"given up after {self._timeout_s:g} s, at {watch.stage}")

    def _reason(self, error: Exception) -> str:
        if self._stopwatch.cut_off:
            return "timeout"
        if any(isinstance(one, requests.Timeout) for one in causes(error)):
            return "timeout"
        return network_reason(error) or "bad_response"


def _phases(watch: _Stopwatch, *, has_tls: bool) -> tuple[float, dict[str, float | None]]:
    marks = (watch.began, watch.resolved, watch.connected, watch.secured, watch.answered)
    spans_ms = [round((end - start) * 1000, 2) for start, end in pairwise(marks)]
    phases: dict[str, float | None] = dict(
        zip(("dns", "connect", "tls", "first_byte"), spans_ms, strict=True)
    )
    return round(sum(spans_ms), 2), phases if has_tls else {**phases, "tls": None}


def _shut_down(handle: socket.socket) -> None:
    try:
        handle.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # not connected any more: there is nothing left to cut off


@cache
def _tls_context(verify_tls: bool, ca_file: str | None) -> ssl.SSLContext:
    """Return the context of all probes of a kind: loading authorities takes 10 ms each time."""
    if not verify_tls:
        # The operator said so in the file; once a tick in the log would be noise.
        urllib3.disable_warnings(InsecureRequestWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=ca_file or certifi.where())


class _TimedAdapter(HTTPAdapter):
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
        watch = _current.get()
        found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        watch.resolved = time.perf_counter()
        watch.stage = "connect"
        opened = _first_that_connects([address[:2] for *_, address in found], watch)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch.connected = watch.secured = time.perf_counter()
        watch.stage = "first byte"
        with watch.lock:
            # A second descriptor of the same connection: TLS takes the first one away.
            watch.handle = opened.dup()
            if watch.cut_off:
                _shut_down(watch.handle)
        opened.settimeout(watch.left_s())
        self.timeout = watch.left_s()
        return opened


class _TimedHttps(_TimedHttp, HTTPSConnection):
    """Notes the end of the TLS handshake as well."""

    def connect(self) -> None:
        super().connect()
        watch = _current.get()
        watch.secured = time.perf_counter()


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _TimedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedHttps


def _first_that_connects(addresses: list[tuple[Any, ...]], watch: _Stopwatch) -> socket.socket:
    failure: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address[0], address[1]), timeout=watch.left_s())
        except OSError as error:
            failure = failure or error
    raise failure or socket.gaierror("the name has no address")
