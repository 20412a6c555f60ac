"""Following a directory of rings: every record once, also across a restart of this daemon.

A ring's cursor is the number of the next record. Cursors are handed out with `cursors` and taken
back by the constructor; whoever stores them together with what was read counts nothing twice.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.access_log.formats import Request
from daemon.failures import SampleError, network_reason
from daemon.rings.ring_file import RingError, RingFile

SUFFIX = ".ring"
#: A gap in front of younger records is waited for this long: a thread may be about to fill it.
_GAP_PATIENCE_S = 2.0
#: After this many slots without a record there are no more: a gap is as wide as threads are many.
_WIDEST_GAP = 256
#: A writer that is faster than this reader is left to itself after so many rounds.
_MOST_ROUNDS = 8


@dataclass
class _Followed:
    """A ring, its cursor, and since when it stands before a gap (monotonic seconds)."""

    ring: RingFile
    cursor: int
    gap_since: float | None = None
    is_finished: bool = False


class RingFollower:
    """Follows every ring in `directory`.

    `lost` counts records that were overwritten before they were read, or never finished by a writer
    that lives; `damaged` counts files that cannot be read as rings.
    """

    def __init__(self, directory: Path, cursors: Mapping[str, int] | None = None) -> None:
        """Prepare; `cursors` are those of an earlier run, by file name."""
        self._directory = directory
        self._known_cursors = dict(cursors or {})
        self._followed: dict[str, _Followed] = {}
        self._refused: set[str] = set()
        self.lost = 0

    @property
    def damaged(self) -> int:
        """How many files there are that cannot be read as rings."""
        return len(self._refused)

    def cursors(self) -> dict[str, int]:
        """Return the number of the next record of every ring, by file name."""
        return {name: followed.cursor for name, followed in self._followed.items()}

    def read_new(self) -> Iterator[Request]:
        """Yield the requests recorded since the last call, ring by ring.

        Raises SampleError when the directory cannot be read.
        """
        self._find_rings()
        for followed in self._followed.values():
            if not followed.is_finished:
                yield from self._read(followed)

    def remove_finished(self) -> None:
        """Remove the rings of dead writers that were read to their end.

        To be called when what was read is stored: until then a restart needs them again.
        """
        for name, followed in list(self._followed.items()):
            if followed.is_finished:
                (self._directory / name).unlink(missing_ok=True)
                followed.ring.close()
                del self._followed[name]

    def close(self) -> None:
        """Close every ring."""
        for followed in self._followed.values():
            followed.ring.close()
        self._followed.clear()

    def _find_rings(self) -> None:
        try:
            with os.scandir(self._directory) as entries:
                names = {e.name for e in entries if e.name.endswith(SUFFIX) and e.name[0] != "."}
        except OSError as error:
            raise SampleError(network_reason(error) or "unreadable", str(error)) from error
        self._refused &= names
        for name in sorted(names - self._followed.keys() - self._refused):
            try:
                ring = RingFile.open(self._directory / name)
            except (OSError, RingError):
                self._refused.add(name)
                continue
            self._followed[name] = _Followed(ring, self._known_cursors.pop(name, 1))
        # A ring that somebody else removed is read to its end: the open file is still there.

    def _read(self, followed: _Followed) -> Iterator[Request]:
        # First: what a writer that is dead by now has written is all there.
        is_dead = not followed.ring.has_writer()
        for _ in range(_MOST_ROUNDS):
            cursor = followed.cursor
            yield from self._read_round(followed, is_dead=is_dead)
            if followed.cursor - cursor < followed.ring.slots // 2:
                followed.is_finished = is_dead
                return

    def _read_round(self, followed: _Followed, *, is_dead: bool) -> Iterator[Request]:
        """Yield what stands in the slots from the cursor on, once around at most."""
        missing = 0
        for number, request in followed.ring.slots_from(followed.cursor):
            expected = followed.cursor + missing
            if request is None or number < expected:
                missing += 1
                if missing > _WIDEST_GAP:
                    return
                continue
            if number > expected:
                # The writer has gone around: of what it left, the oldest is in the next slot.
                oldest = number - followed.ring.slots + 1
                self.lost += oldest - followed.cursor
                followed.cursor, missing = oldest, 0
                continue
            if missing and not (is_dead or self._has_waited(followed)):
                return
            # What a dead writer never finished was no request that had ended.
            self.lost += 0 if is_dead else missing
            missing = 0
            followed.cursor = number + 1
            followed.gap_since = None
            yield request

    def _has_waited(self, followed: _Followed) -> bool:
        now = time.monotonic()
        if followed.gap_since is None:
            followed.gap_since = now
        return now - followed.gap_since > _GAP_PATIENCE_S
