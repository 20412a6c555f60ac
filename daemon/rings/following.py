"""Following a directory of rings: every record once, also across a restart of this daemon.

A ring's cursor is the number of the next record. Cursors are stored together with what was counted,
so nothing is counted twice; and a ring is removed only when its writer is dead and the cursor that
stands at its end is stored, so nothing is lost between.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.failures import SampleError, network_reason
from daemon.requests import Batch, Loss, Position, Request
from daemon.rings.ring_file import RingError, RingFile

SUFFIX = ".ring"
#: A gap in front of younger records is waited for this long: a thread may be about to fill it.
_GAP_PATIENCE_S = 2.0
#: After this many slots without a record there are no more: a gap is as wide as threads are many.
_WIDEST_GAP = 256
#: A writer that is faster than this reader is left to itself after so many rounds.
_MOST_ROUNDS = 8
_BATCH = 4096
#: Reading is stored early when this share of a ring stands between its stored and its read cursor.
_URGENT_SHARE = 4


@dataclass
class _Followed:
    """A ring and its cursor.

    `untold` counts lost requests that no batch has told of yet; `gap_since` is since when the
    cursor has stood before a gap (monotonic seconds).
    """

    ring: RingFile
    cursor: int
    stored_cursor: int
    untold: int
    gap_since: float | None = None
    is_finished: bool = False


class RingFollower:
    """Follows every ring in `directory`; a `daemon.requests.RequestSource`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known_cursors: dict[str, int] = {}
        self._followed: dict[str, _Followed] = {}
        self._refused: dict[str, SampleError] = {}
        self._kept_by_force: dict[str, SampleError] = {}
        self._stored: Position | None = None

    def begin(self, position: dict[str, int] | None) -> None:
        """Go on from stored cursors by file name; a ring without one is read from its start."""
        self.close()
        self._known_cursors = dict(position or {})

    def read_new(self) -> Iterator[Batch]:
        """Yield what was recorded since the last call, ring by ring.

        Raises SampleError at its end when the directory, or a ring in it, cannot be read.
        """
        self.tidy()
        yield from self._find_rings()
        trouble: SampleError | None = None
        for followed in list(self._followed.values()):
            try:
                if not followed.is_finished:
                    yield from self._read(followed)
            except OSError as error:
                trouble = _trouble(error)
        if trouble is not None:
            raise trouble

    def position(self) -> Position:
        """Return every cursor by file name; finished are the rings of dead writers at their end."""
        rings = self._followed.items()
        return Position(
            # At its first record a ring is as good as unknown, and tells again what was missed.
            {name: one.cursor for name, one in rings if one.cursor > 1},
            is_urgent=any(
                name not in self._kept_by_force and _is_urgent(one) for name, one in rings
            ),
            finished=frozenset(name for name, one in rings if one.is_finished),
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
        for name, cursor in position.data.items():
            if (one := self._followed.get(name)) is not None:
                one.stored_cursor = cursor
        self._kept_by_force.clear()
        for name in position.finished & self._followed.keys():
            try:
                (self._directory / name).unlink(missing_ok=True)
            except OSError as error:
                # Its cursor stays, so nothing in it is counted twice.
                self._kept_by_force[name] = _trouble(error)
                continue
            self._followed.pop(name).ring.close()

    def troubles(self) -> dict[str, SampleError]:
        """Return why files cannot be read as rings, or not be removed, by their names."""
        return self._refused | self._kept_by_force

    def parts(self) -> str:
        """Return how many rings there are, and how many of them are complete."""
        rings = self._followed.values()
        ended = sum(one.is_finished for one in rings)
        return f"{len(rings) - ended} ring(s) of running processes, {ended} of ended ones"

    def close(self) -> None:
        """Close every ring."""
        for followed in self._followed.values():
            followed.ring.close()
        self._followed.clear()
        self._refused.clear()
        self._stored = None

    def _find_rings(self) -> Iterator[Batch]:
        """Open what is new in the directory; what was in a ring that cannot be read is lost."""
        try:
            with os.scandir(self._directory) as entries:
                names = {e.name for e in entries if e.name.endswith(SUFFIX) and e.name[0] != "."}
        except OSError as error:
            raise _trouble(error) from error
        for name in self._refused.keys() - names:
            del self._refused[name]
        for name in sorted(names - self._followed.keys() - self._refused.keys()):
            try:
                ring = RingFile.open(self._directory / name)
            except FileNotFoundError:
                continue
            except (OSError, RingError) as error:
                self._refused[name] = _trouble(error)
                yield Batch([], (Loss(_now_ms(), None),))
                continue
            cursor = self._known_cursors.pop(name, 1)
            missed = ring.missed if cursor == 1 else 0
            self._followed[name] = _Followed(ring, cursor, cursor, missed)
        # A ring that somebody else removed is read to its end: the open file is still there.

    def _read(self, followed: _Followed) -> Iterator[Batch]:
        # First: what a writer that is dead by now has written is all there.
        is_dead = not followed.ring.has_writer()
        for _ in range(_MOST_ROUNDS):
            cursor = followed.cursor
            yield from self._read_round(followed, is_dead=is_dead)
            if followed.cursor - cursor < followed.ring.slots // 2:
                break
        else:
            return
        followed.is_finished = is_dead
        if followed.untold and (is_dead or followed.cursor > 1):
            yield Batch([], (_told(followed, _now_ms()),))

    def _read_round(self, followed: _Followed, *, is_dead: bool) -> Iterator[Batch]:
        """Yield what stands in the slots from the cursor on, once around at most."""
        requests: list[Request] = []
        losses: list[Loss] = []
        missing = 0
        for number, request in followed.ring.slots_from(followed.cursor):
            expected = followed.cursor + missing
            if request is None or number < expected:
                missing += 1
                if missing > _WIDEST_GAP:
                    break
                continue
            if number > expected:
                # The writer has gone around: of what it left, the oldest is in the next slot.
                oldest = number - followed.ring.slots + 1
                followed.untold += oldest - followed.cursor
                followed.cursor, missing = oldest, 0
                continue
            if missing and not (is_dead or _has_waited(followed)):
                break
            # What a dead writer never finished was no request that had ended.
            followed.untold += 0 if is_dead else missing
            missing = 0
            followed.cursor = number + 1
            followed.gap_since = None
            requests.append(request)
            if followed.untold:
                # What is lost ended, at the latest, when the oldest that is left did.
                losses.append(_told(followed, request.ended_at_ms or 0))
            if len(requests) >= _BATCH:
                yield Batch(requests, tuple(losses))
                requests, losses = [], []
        if requests or losses:
            yield Batch(requests, tuple(losses))


def _trouble(error: Exception) -> SampleError:
    return SampleError(network_reason(error) or "unreadable", str(error))


def _told(followed: _Followed, at_ms: int) -> Loss:
    loss, followed.untold = Loss(at_ms, followed.untold), 0
    return loss


def _is_urgent(followed: _Followed) -> bool:
    """Say whether the ring is to be removed, or could soon be overwritten beyond its cursor."""
    unstored = followed.cursor - followed.stored_cursor
    return followed.is_finished or unstored * _URGENT_SHARE > followed.ring.slots


def _has_waited(followed: _Followed) -> bool:
    now = time.monotonic()
    if followed.gap_since is None:
        followed.gap_since = now
    return now - followed.gap_since > _GAP_PATIENCE_S


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
