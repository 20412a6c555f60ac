"""What is known of one request of the platform, and how requests come in from a source."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from daemon.failures import SampleError

_LOWEST_SERVER_ERROR = 500


class Request(NamedTuple):
    """One request: when it ended (Unix ms), how long it took, its status, its path.

    `ended_at_ms` is None until it is known, if the source does not say it; `status` is 0 when
    the source does not say; `path` has no query string.
    """

    ended_at_ms: int | None
    duration_us: int
    status: int
    path: str


class Loss(NamedTuple):
    """Requests that nobody will ever count: when at the latest they ended (Unix ms), how many.

    `requests` is None when nobody can tell how many, or whether any.
    """

    at_ms: int
    requests: int | None


class LogLines(NamedTuple):
    """Lines of logs that were read until `at_ms` (Unix ms), and those not understood of them."""

    at_ms: int
    read: int
    unparsed: int


@dataclass
class Batch:
    """What was read at once: requests, what was lost, lines of logs and those not understood."""

    requests: list[Request] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    lines: int = 0
    unparsed: int = 0

    def add(self, other: "Batch") -> None:
        """Add what `other` has."""
        self.requests += other.requests
        self.losses += other.losses
        self.lines += other.lines
        self.unparsed += other.unparsed


@dataclass(frozen=True)
class Position:
    """How far a source has been read: `data` to be stored as JSON, and what is done with.

    `urgent` says that the source may not keep what was read until the next snapshot, so that the
    position had better be stored soon. `finished` are names that are not needed any more once
    this position is stored.
    """

    data: Any
    is_urgent: bool = False
    finished: frozenset[str] = frozenset()


class RequestSource(Protocol):
    """Where requests are read from: each once, also across restarts. Used by one thread at a time.

    `read_new` yields what came since the last call and raises SampleError at its end when there is
    trouble. Between two batches `position` tells of exactly what has been yielded.
    """

    def begin(self, position: Any) -> None:
        """Go on from `position`'s data of an earlier run, or begin when that is None."""

    def read_new(self) -> Iterator[Batch]:
        """Yield what is new."""

    def position(self) -> Position:
        """Return how far it has been read."""

    def newest_before(self) -> Iterator[Batch]:
        """Yield what was before the position at which `begin` began, newest first."""

    def stored(self, position: Position) -> None:
        """Note that `position` is stored. May be called by another thread."""

    def tidy(self) -> None:
        """Remove what the stored position calls finished."""

    def troubles(self) -> dict[str, SampleError]:
        """Return what an operator should see to, by name, beside what `read_new` raises."""

    def parts(self) -> str:
        """Return in words which files it reads."""

    def close(self) -> None:
        """Let go of all files."""


def is_error(status: int) -> bool:
    """Say whether the server failed: status 500 and above."""
    return status >= _LOWEST_SERVER_ERROR
