"""Draining sources of requests into the windows and intervals of their classes, each once.

Requests are counted together with the position up to which their source has been read, under one
lock; what a snapshot or a checkpoint stores are both, as of one moment. So whenever this process
ends, what was counted and stored is not read again, and what was not stored is.
"""

import threading
from collections.abc import Mapping

from daemon.failures import SampleError
from daemon.latency.state import State, decode, encode
from daemon.latency.tally import Found, Tally
from daemon.latency.window import in_order_of_time
from daemon.requests import Batch, Position, RequestSource
from daemon.sampler import Cut, Reading
from store.intervals import LatencyInterval

#: How many requests are held until they are counted, so that a log of any size fits in memory and
#: the lock is held for some 0.1 s at most.
_MOST_HELD = 50_000


class Collector:
    """Drains `sources`, which are known by name over restarts, into `tally`.

    `drain` and `sample` exclude each other; the other methods may be called by another thread
    meanwhile and never wait for a file.
    """

    def __init__(self, sources: Mapping[str, RequestSource], tally: Tally) -> None:
        self._sources, self._tally = sources, tally
        #: Of every source that was ever read: up to where it has been counted.
        self._positions: dict[str, Position] = {}
        self._unknown_windows = tally.unknown_to(State())
        self._is_begun = False
        self._draining = threading.Lock()
        self._counting = threading.Lock()

    def resume(self, stored: bytes | None) -> None:
        """Go on from a stored state, forgetting what was counted since; None: the first start.

        The sources follow with the next drain. Raises SchemaError for a state that cannot be read.
        """
        state = State() if stored is None else decode(stored)
        with self._counting:
            self._tally.resume(state)
            self._positions = {name: Position(data) for name, data in state.positions.items()}
            self._unknown_windows = self._tally.unknown_to(state)
            self._is_begun = False

    def drain(self) -> None:
        """Count what is new in every source.

        Raises SampleError when one of them cannot be read, after all have been.
        """
        with self._draining:
            self._drain()

    def sample(self) -> Mapping[str, Reading]:
        """Drain, and describe every class's window."""
        with self._draining:
            self._drain()
            troubles = {
                name: trouble
                for source in self._sources.values()
                for name, trouble in source.troubles().items()
            }
            with self._counting:
                entries = {key: window.describe() for key, window in self._tally.windows.items()}
        first = next(iter(entries))
        return {
            key: Reading(
                entry,
                reason=None if entry["samples"] else "no_samples",
                # Told once, though they are every class's.
                troubles=troubles if key == first else {},
            )
            for key, entry in entries.items()
        }

    def cut(self) -> Cut:
        """Return the intervals since the last cut, and the state to be stored with them."""
        with self._counting:
            return self._cut(self._tally.cut())

    def held(self) -> Cut:
        """Return the state to be stored between snapshots, with what was counted since the last."""
        with self._counting:
            return self._cut({})

    def restore(self, cut: Cut) -> None:
        """Take back what could not be stored, to be part of the next cut."""
        with self._counting:
            self._tally.restore(dict(cut.intervals))

    def stored(self, cut: Cut) -> None:
        """Note that the state of `cut` is stored: what it is done with may be removed."""
        for name, source in self._sources.items():
            if (position := cut.positions.get(name)) is not None:
                source.stored(position)

    def tidy(self) -> None:
        """Remove what the stored state is done with."""
        with self._draining:
            for source in self._sources.values():
                source.tidy()

    def is_urgent(self) -> bool:
        """Say whether what was counted had better be stored before the next snapshot."""
        with self._counting:
            return any(position.is_urgent for position in self._positions.values())

    def close(self) -> None:
        """Close every source, to go on from the stored state some other time."""
        with self._draining:
            for source in self._sources.values():
                source.close()

    def _cut(self, intervals: Mapping[str, LatencyInterval]) -> Cut:
        """Return a cut with `intervals`; its state has what is not in them."""
        state = State(
            # Those of sources that are not configured now stay, should they come back.
            {name: position.data for name, position in self._positions.items()},
            # One that was not filled yet is not known: it is filled after a restart.
            {
                key: window
                for key, window in self._tally.window_states().items()
                if key not in self._unknown_windows
            },
            {key: one.columns() for key, one in self._tally.intervals.items() if not one.is_empty},
        )
        return Cut(intervals, dict(self._positions), lambda: encode(state))

    def _drain(self) -> None:
        failures: list[SampleError] = []
        held = Batch()
        try:
            if not self._is_begun:
                self._begin()
            for source in self._sources.values():
                try:
                    for batch in source.read_new():
                        held.add(batch)
                        if len(held.requests) >= _MOST_HELD:
                            self._count(held)
                            held = Batch()
                except SampleError as error:
                    failures.append(error)
            self._count(held)
        except BaseException:
            # What was read and not counted is read again.
            self._is_begun = False
            raise
        if failures:
            raise failures[0]

    def _count(self, held: Batch) -> None:
        held.requests.sort(key=in_order_of_time)
        with self._counting:
            if not self._is_begun:
                return  # resumed meanwhile: all this is read again
            self._tally.count(held)
            for name, source in self._sources.items():
                self._positions[name] = source.position()

    def _begin(self) -> None:
        """Bring every source to its position, and fill the windows of which nothing is known."""
        with self._counting:
            self._is_begun = True
            positions, unknown = dict(self._positions), self._unknown_windows
        for name, source in self._sources.items():
            position = positions.get(name)
            source.begin(position.data if position else None)
        with self._counting:
            if not self._is_begun:
                return
            # Before the windows are filled, which may take long: from here on everything counts.
            for name, source in self._sources.items():
                self._positions[name] = source.position()
        found: list[Found] = []
        for source in self._sources.values() if unknown else ():
            found += self._tally.newest_of(unknown, source.newest_before())
        with self._counting:
            if self._is_begun:
                self._tally.fill(found)
                self._unknown_windows = []
