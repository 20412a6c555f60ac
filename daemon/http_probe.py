"""One GET, its phases timed, its whole length bounded: name resolution and drips included."""

import time
from dataclasses import dataclass
from http.client import HTTPException

import requests
from urllib3.exceptions import HTTPError

from daemon.failures import SampleError, causes, network_reason
from daemon.timed_transport import Stopwatch, TimedAdapter, current_stopwatch, tls_context

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


class Probe:
    """One GET of `url`. `run` is called in one thread, `give_up` may be called in another."""

    def __init__(
        self, url: str, *, timeout_s: float, verify_tls: bool = True, ca_file: str | None = None
    ) -> None:
        """Prepare, without touching the network. `timeout_s` bounds the whole probe."""
        self._url, self._timeout_s = url, timeout_s
        self._tls = (verify_tls, ca_file)
        self._stopwatch = Stopwatch()

    def run(self) -> Answer:
        """Return the answer, whatever its status; redirects are not followed.

        Raises SampleError when there is none in time or it is not HTTP.
        """
        watch = self._stopwatch
        current_stopwatch.set(watch)
        session = requests.Session()
        session.trust_env = False
        session.headers.update(
            {"User-Agent": "opsnap", "Connection": "close", "Accept-Encoding": "identity"}
        )
        session.mount("http://", TimedAdapter(None))
        has_tls = self._url.lower().startswith("https:")
        if has_tls:
            session.mount("https://", TimedAdapter(tls_context(*self._tls)))
        watch.begin(self._timeout_s)
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
                if watch.is_over():
                    raise SampleError("timeout", "the answer's end came after the deadline")
                return Answer(response.status_code, *_phases(watch, has_tls=has_tls), body)
        except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
            raise SampleError(self._reason(error), f"{watch.stage}: {error!r}") from error
        finally:
            watch.release()

    def give_up(self) -> SampleError:
        """Cut the probe off from another thread and return what to report for it."""
        watch = self._stopwatch
        watch.cut()
        reason = "dns" if watch.stage == "dns" else "timeout"
        return SampleError(reason, f"given up after {self._timeout_s:g} s, at {watch.stage}")

    def _reason(self, error: Exception) -> str:
        if self._stopwatch.cut_off:
            return "timeout"
        if any(isinstance(one, requests.Timeout) for one in causes(error)):
            return "timeout"
        return network_reason(error) or "bad_response"


def _phases(watch: Stopwatch, *, has_tls: bool) -> tuple[float, dict[str, float | None]]:
    spans_ms = watch.phases_ms()
    phases: dict[str, float | None] = dict(
        zip(("dns", "connect", "tls", "first_byte"), spans_ms, strict=True)
    )
    return round(sum(spans_ms), 2), phases if has_tls else {**phases, "tls": None}
