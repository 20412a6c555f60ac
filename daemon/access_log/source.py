"""An access log as a source of requests."""

import time
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from config.latency import AccessLog
from daemon.access_log.following import LogFollower
from daemon.access_log.formats import parser
from daemon.access_log.log_file import read_backwards
from daemon.failures import SampleError
from daemon.requests import Batch, Position, Request

#: How far back files are read to fill the windows at the start.
_MOST_FILL_BYTES = 32 << 20
_FILL_LINES = 200
#: How many lines in a row a log that was understood may have that are not: a TLS greeting sent
#: to a plain port, a traceback.
_STRANGE_LINES = 20


class LogSource:
    """The requests of one log and of its rotated files; a `daemon.requests.RequestSource`.

    `others` are the other logs that are read.
    """

    def __init__(self, log: AccessLog, others: Collection[Path] = ()) -> None:
        self._follower = LogFollower(Path(log.path), others)
        self._parse = parser(log.format)
        self._has_been_understood = False
        self._not_understood_since = 0

    def begin(self, position: Any) -> None:
        """Go on from a position's data; without one at the log's end, which fills the windows."""
        self._follower.begin(position)

    def read_new(self) -> Iterator[Batch]:
        """Yield what was logged since the last call.

        Raises SampleError at its end when the log cannot be read and had nothing new either, or
        when none of its newest lines is in its format.
        """
        failure: SampleError | None = None
        broken_before, has_requests = self._follower.broken_lines, False
        try:
            for lines in self._follower.read_new_lines():
                requests = self._requests(lines)
                has_requests |= bool(requests)
                unparsed = len(lines) - len(requests)
                self._note(len(requests), unparsed)
                yield Batch(requests, self._follower.take_losses(), len(lines), unparsed)
        except SampleError as error:
            failure = error
        broken = self._follower.broken_lines - broken_before
        losses = self._follower.take_losses()
        if broken or losses:
            self._note(0, broken)
            yield Batch([], losses, broken, broken)
        patience = _STRANGE_LINES if self._has_been_understood else 0
        if failure is None and self._not_understood_since > patience:
            detail = f"no line of {self._follower.path} was understood in its format"
            failure = SampleError("unparsed", detail)
        # With requests in hand the log lives: it is in the middle of a rotation, and the next
        # look will say whether it came back.
        if failure is not None and not has_requests:
            raise failure

    def position(self) -> Position:
        """Return how far the log and its rotated files have been read."""
        return Position(self._follower.places())

    def newest_before(self) -> Iterator[Batch]:
        """Yield what stands before the place where reading began, newest first."""
        left = _MOST_FILL_BYTES
        for path, offset in reversed(self._follower.began_at):
            lines = read_backwards(path, offset, left)
            while some := list(islice(lines, _FILL_LINES)):
                requests = self._requests(some)
                self._note(len(requests), len(some) - len(requests))
                yield Batch(requests, [], len(some), len(some) - len(requests))
            left -= offset
            if left <= 0:
                return

    def stored(self, position: Position) -> None:
        """Do nothing: nobody waits for a log's position to be stored."""

    def tidy(self) -> None:
        """Do nothing: what becomes of the log's files is for those who rotate them."""

    def troubles(self) -> dict[str, SampleError]:
        """Return nothing: all its troubles are raised."""
        return {}

    def parts(self) -> str:
        """Return how many rotated files are beside the log."""
        return f"the log and {self._follower.count_of_earlier_parts} rotated file(s)"

    def close(self) -> None:
        """Close every file."""
        self._follower.close()

    def _requests(self, lines: Iterable[str]) -> list[Request]:
        """Return the requests of `lines`, with the present for a time that is not told."""
        now_ms = time.time_ns() // 1_000_000
        return [
            request if request.ended_at_ms is not None else request._replace(ended_at_ms=now_ms)
            for line in lines
            if (request := self._parse(line)) is not None
        ]

    def _note(self, understood: int, unparsed: int) -> None:
        """Note what was read. A strange line on a quiet platform does not make a strange log."""
        if understood:
            self._has_been_understood, self._not_understood_since = True, 0
        else:
            self._not_understood_since += unparsed
