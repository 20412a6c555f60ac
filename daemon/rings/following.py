"""Following a directory of rings: every record once, also across a restart of this daemon.

A ring's cursor is the number of the next record. Cursors are stored together with what was counted,
so nothing is counted twice; and a ring is removed only when its writer is dead and the cursor that
stands at its end is stored, so nothing is lost between.
"""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.failures import SampleError, network_reason
from daemon.requests import Batch, Loss, Position
from daemon.rings.ring_cursor import RingCursor
from daemon.rings.ring_file import RingError, RingFile

SUFFIX = ".ring"
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)


class RingFollower:
    """Follows every ring in `directory`; a `daemon.requests.RequestSource`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        #: Of rings that were not looked for yet: their cursors, and which were at their end.
        self._stored_numbers: dict[str, int] = {}
        self._stored_finished: set[str] = set()
        self._cursors: dict[str, RingCursor] = {}
        self._refused: dict[str, SampleError] = {}
        self._kept_by_force: dict[str, SampleError] = {}
        self._stored: Position | None = None

    def begin(self, position: dict[str, Any] | None) -> None:
        """Go on from stored cursors by file name; a ring without one is read from its start."""
        self.close()
        self._stored_numbers = dict(position["numbers"]) if position else {}
        self._stored_finished = set(position["finished"]) if position else set()

    def read_new(self) -> Iterator[Batch]:
        """Yield what was recorded since the last call, ring by ring.

        Raises SampleError at its end when the directory, or a ring in it, cannot be read.
        """
        self.tidy()
        trouble: SampleError | None = None
        for cursor in [one for one in self._cursors.values() if not one.is_finished]:
            try:
                yield from cursor.read_new()
            except OSError as error:
                trouble = _trouble(error)
        try:
            yield from self._read_new_rings()
        except OSError as error:
            trouble = _trouble(error)
        if trouble is not None:
            raise trouble

    def position(self) -> Position:
        """Return every cursor by file name; finished are the rings of dead writers at their end."""
        rings = self._cursors.items()
        # Before its first record a ring is as good as unknown, and tells again what was missed.
        numbers = {
            name: cursor.number for name, cursor in rings if cursor.number > 1 or cursor.is_finished
        }
        finished = frozenset(name for name, cursor in rings if cursor.is_finished)
        urgent = (cursor.is_urgent for name, cursor in rings if name not in self._kept_by_force)
        return Position(
            {
                "numbers": self._stored_numbers | numbers,
                "finished": sorted(self._stored_finished | finished),
            },
            is_urgent=any(urgent),
            finished=finished,
        )

    def newest_before(self) -> Iterator[Batch]:
        """Yield nothing: whatever is in the rings is read by `read_new`."""
        return iter(())

    def stored(self, position: Position) -> None:
        """Note that `position` is stored. May be called by another thread."""
        self._stored = position

    def tidy(self) -> None:
        """Remove the rings that the stored position calls finished."""
        position, self._stored = self._stored, None
        if position is None:
            return
        for name, number in position.data["numbers"].items():
            if (cursor := self._cursors.get(name)) is not None:
                cursor.stored_number = number
        self._kept_by_force.clear()
        for name in position.finished & self._cursors.keys():
            try:
                (self._directory / name).unlink(missing_ok=True)
            except OSError as error:
                # Its cursor stays, so nothing in it is counted twice.
                self._kept_by_force[name] = _trouble(error)
                continue
            self._cursors.pop(name).ring.close()

    def troubles(self) -> dict[str, SampleError]:
        """Return why files cannot be read as rings, or not be removed, by their names."""
        return self._refused | self._kept_by_force

    def parts(self) -> str:
        """Return how many rings there are, and how many of them are complete."""
        rings = self._cursors.values()
        ended = sum(one.is_finished for one in rings)
        return f"{len(rings) - ended} ring(s) of running processes, {ended} of ended ones"

    def close(self) -> None:
        """Close every ring."""
        for cursor in self._cursors.values():
            cursor.ring.close()
        self._cursors.clear()
        self._refused.clear()
        self._stored = None

    def _read_new_rings(self) -> Iterator[Batch]:
        """Open what is new in the directory, one after the other, and read it. Raises OSError."""
        with os.scandir(self._directory) as entries:
            names = {e.name for e in entries if e.name.endswith(SUFFIX) and e.name[0] != "."}
        yield from self._compare_with_stored(names)
        for name in self._refused.keys() - names:
            del self._refused[name]
        for name in sorted(names - self._cursors.keys()):
            try:
                ring = RingFile.open(self._directory / name)
            except FileNotFoundError:
                continue
            except (OSError, RingError) as error:
                if isinstance(error, OSError) and error.errno in _TOO_MANY_FILES:
                    raise  # no fault of the ring: it is opened when others are closed
                if name not in self._refused:
                    yield Batch([], [Loss(_now_ms(), None)])
                self._refused[name] = _trouble(error)
                continue
            self._refused.pop(name, None)
            # What it missed was told when its cursor was stored.
            missed = 0 if name in self._stored_numbers else ring.missed
            number = self._stored_numbers.pop(name, 1)
            self._stored_finished.discard(name)
            self._cursors[name] = cursor = RingCursor(ring, number, number, missed)
            yield from cursor.read_new()
        # A ring that somebody else removed is read to its end: the open file is still there.

    def _compare_with_stored(self, names: set[str]) -> Iterator[Batch]:
        """Tell of rings that had not been read to their end and are gone, as after a reboot."""
        gone = self._stored_numbers.keys() - names
        if gone - self._stored_finished:
            yield Batch([], [Loss(_now_ms(), None)])
        for name in gone:
            del self._stored_numbers[name]
        self._stored_finished &= names


def _trouble(error: Exception) -> SampleError:
    return SampleError(network_reason(error) or "unreadable", str(error))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
