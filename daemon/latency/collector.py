"""Collecting requests from all logs into the windows and intervals of their classes.

Each request is counted once in the window of every class it belongs to, and once in that class's
interval, which the next snapshot takes along.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from config.latency import AccessLog, LatencyClass
from daemon.access_log.following import LogFollower, read_backwards
from daemon.access_log.formats import Parser, Request, parser
from daemon.failures import SampleError
from daemon.latency.window import Window, is_error
from daemon.sampler import Intervals, Reading
from store.histograms import LatencyHistogram

#: How far back a log is read to fill the windows at the start.
_MOST_FILL_BYTES = 32 << 20
#: How many requests are counted while the lock is held: about 20 ms.
_COUNTED_AT_ONCE = 10_000
#: How many requests are held until they are counted, so that a log of any size fits in memory.
_MOST_HELD = 200_000
#: How many lines in a row a log that was understood may have that are not: a TLS greeting sent
#: to a plain port, a traceback.
_STRANGE_LINES = 20


@dataclass
class _Source:
    """A log, how its lines are read, and how many were not understood since one was."""

    follower: LogFollower
    parse: Parser
    has_been_understood: bool = False
    not_understood_since: int = 0

    @property
    def is_understood(self) -> bool:
        """Whether the log's newest lines are in its format, as far as they tell."""
        patience = _STRANGE_LINES if self.has_been_understood else 0
        return self.not_understood_since <= patience

    def requests(self, lines: Iterable[str]) -> list[Request]:
        """Return the requests of `lines`, with the present for a time that is not told."""
        now_ms = time.time_ns() // 1_000_000
        return [
            request if request.ended_at_ms is not None else request._replace(ended_at_ms=now_ms)
            for line in lines
            if (request := self.parse(line)) is not None
        ]


class Collector:
    """Follows access logs. `own_paths` belong to no class.

    `sample` is called by one thread at a time. The other methods may be called by another one
    meanwhile, and never wait for a file: the lock is held only while requests are counted.
    """

    def __init__(
        self,
        logs: Iterable[AccessLog],
        classes: Iterable[LatencyClass],
        own_paths: tuple[str, ...] = (),
    ) -> None:
        self._sources = [_Source(LogFollower(Path(log.path)), parser(log.format)) for log in logs]
        self._windows = [Window(rules) for rules in classes]
        self._own_paths = own_paths
        self._intervals = self._no_intervals()
        self._is_started = False
        self._lock = threading.Lock()

    def sample(self) -> Mapping[str, Reading]:
        """Read what is new and describe every class's window.

        Raises SampleError when a log cannot be read or understood, after all have been read.
        """
        if not self._is_started:
            self._fill_windows()
            self._is_started = True
        self._read_new()
        cuts_ms = [source.follower.truncated_at_ms for source in self._sources]
        truncated_at_ms = max((ms for ms in cuts_ms if ms is not None), default=None)
        return {
            window.rules.key: Reading(
                window.describe(truncated_at_ms), reason=None if len(window) else "no_samples"
            )
            for window in self._windows
        }

    def cut_intervals(self) -> Intervals:
        """Return the distributions since the last cut, and begin new ones."""
        with self._lock:
            cut, self._intervals = self._intervals, self._no_intervals()
            return cut

    def restore_intervals(self, intervals: Intervals) -> None:
        """Take back intervals that could not be stored, to be part of the next."""
        with self._lock:
            for key, histogram in intervals.items():
                self._intervals[key].merge(histogram)

    def _no_intervals(self) -> dict[str, LatencyHistogram]:
        return {window.rules.key: LatencyHistogram() for window in self._windows}

    def _read_new(self) -> None:
        failures: list[SampleError] = []
        arrived: list[Request] = []
        for source in self._sources:
            try:
                for requests in self._new_requests(source):
                    arrived += requests
                    if len(arrived) >= _MOST_HELD:
                        self._count_in_order(arrived)
                        arrived = []
            except SampleError as error:
                failures.append(error)
        self._count_in_order(arrived)
        if failures:
            raise failures[0]

    def _count_in_order(self, requests: list[Request]) -> None:
        if len(self._sources) > 1:
            requests.sort(key=attrgetter("ended_at_ms"))
        for start in range(0, len(requests), _COUNTED_AT_ONCE):
            self._count(requests[start : start + _COUNTED_AT_ONCE])

    def _count(self, requests: list[Request]) -> None:
        with self._lock:
            for request in requests:
                for window in self._classes_of(request.path):
                    window.add(request)
                    interval = self._intervals[window.rules.key]
                    interval.record(request.duration_us, is_error=is_error(request))

    def _new_requests(self, source: _Source) -> Iterator[list[Request]]:
        """Yield the new requests of a log. Raises SampleError at its end when there is nothing."""
        broken_before, lines_read, understood = source.follower.broken_lines, 0, 0
        failure: SampleError | None = None
        try:
            for lines in source.follower.read_new_lines():
                requests = source.requests(lines)
                lines_read += len(lines)
                understood += len(requests)
                yield requests
        except SampleError as error:
            failure = error
        lines_read += source.follower.broken_lines - broken_before
        self._note_unparsed(source, lines_read, understood)
        if failure is None and not source.is_understood:
            detail = f"no line of {source.follower.path} was understood in its format"
            failure = SampleError("unparsed", detail)
        # With requests in hand the log lives: it is in the middle of a rotation, and the next
        # tick will say whether it came back.
        if failure is not None and not understood:
            raise failure

    def _note_unparsed(self, source: _Source, lines_read: int, understood: int) -> None:
        """Note what was read. A strange line on a quiet platform does not make a strange log."""
        if understood:
            source.has_been_understood, source.not_understood_since = True, 0
        else:
            source.not_understood_since += lines_read
        for window in self._windows:
            window.add_unparsed(lines_read - understood)

    def _classes_of(self, path: str) -> Iterator[Window]:
        if path not in self._own_paths:
            yield from (window for window in self._windows if window.takes(path))

    def _fill_windows(self) -> None:
        """Read back from the logs' ends until every window is full: at once as good as later.

        These requests are in no interval: they happened before this daemon watched.
        """
        found: list[Request] = []
        for source in self._sources:
            offset = source.follower.start_at_end()
            if offset is not None:
                found += self._last_requests(source, offset)
        found.sort(key=attrgetter("ended_at_ms"))
        for request in found:
            for window in self._classes_of(request.path):
                window.add(request)

    def _last_requests(self, source: _Source, offset: int) -> list[Request]:
        """Return what fills the windows, oldest first, from a log and its predecessor `.1`."""
        wanted = {window.rules.key: window.rules.window for window in self._windows}
        found: list[Request] = []
        lines_read = 0
        for line in _lines_backwards(source.follower.path, offset):
            lines_read += 1
            for request in source.requests([line]):
                found.append(request)
                for window in self._classes_of(request.path):
                    wanted[window.rules.key] -= 1
            if all(count <= 0 for count in wanted.values()):
                break
        self._note_unparsed(source, lines_read, len(found))
        return found[::-1]


def _lines_backwards(path: Path, offset: int) -> Iterator[str]:
    yield from read_backwards(path, offset, _MOST_FILL_BYTES)
    predecessor = path.with_name(path.name + ".1")
    if predecessor.is_file():
        yield from read_backwards(predecessor, predecessor.stat().st_size, _MOST_FILL_BYTES)
