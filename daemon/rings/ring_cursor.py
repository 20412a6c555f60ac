"""Reading one ring on from a cursor: each record once, and what is lost of it counted."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from daemon.requests import Batch, Loss, Request
from daemon.rings.ring_file import TORN, RingFile

#: A gap in front of younger records is waited for this long: a thread may be about to fill it.
_GAP_PATIENCE_S = 2.0
#: After this many slots without a record there are no more: a gap is as wide as threads are many.
_WIDEST_GAP = 256
#: So many records at most are unfinished when a process ends, one a thread; more are damaged.
_MOST_UNFINISHED = 64
#: A writer that is faster than this reader is left to itself after so many rounds.
_MOST_ROUNDS = 8
_BATCH = 4096
#: Reading is stored early when this share of a ring stands between its stored and its read cursor.
_URGENT_SHARE = 4


@dataclass
class RingCursor:
    """A ring, and the number of the next record to be read of it.

    `stored_number` is the one that is known to be stored. `untold` counts lost requests that no
    batch has told of yet. `is_finished` says that its writer is dead and everything was read: the
    file is closed then. `is_damaged` says that nobody knows what else was in it.
    """

    ring: RingFile
    number: int
    stored_number: int
    untold: int
    is_finished: bool = False
    is_damaged: bool = False
    _gap_since: float | None = None

    @property
    def is_urgent(self) -> bool:
        """Whether the ring is to be removed, or could soon be overwritten beyond its cursor."""
        unstored = self.number - self.stored_number
        return self.is_finished or unstored * _URGENT_SHARE > self.ring.slots

    def read_new(self) -> Iterator[Batch]:
        """Yield what was recorded since the last call. Raises OSError."""
        # First: what a writer that is dead by now has written is all there.
        is_dead = not self.ring.has_writer()
        for _ in range(_MOST_ROUNDS):
            before = self.number
            yield from self._read_round(is_dead=is_dead)
            if self.number - before < max(1, self.ring.slots // 2):
                break
        else:
            return
        self.is_finished = is_dead
        if is_dead:
            self.ring.close()
        if self.is_damaged:
            yield Batch([], [Loss(_now_ms(), None)])
        if self.untold and is_dead:
            yield Batch([], [self._told(_now_ms())])

    def _read_round(self, *, is_dead: bool) -> Iterator[Batch]:
        """Yield what stands in the slots from the cursor on, once around at most."""
        batch = Batch()
        failure: OSError | None = None
        try:
            for request in self._records(is_dead=is_dead):
                batch.requests.append(request)
                if self.untold:
                    # What is lost ended, at the latest, when the oldest that is left did.
                    batch.losses.append(self._told(request.ended_at_ms or 0))
                if len(batch.requests) >= _BATCH:
                    yield batch
                    batch = Batch()
        except OSError as error:
            failure = error
        # The cursor is behind all that was read and all that is lost: both are told together.
        if self.untold and self.number > 1:
            batch.losses.append(self._told(_now_ms()))
        if batch.requests or batch.losses:
            yield batch
        if failure is not None:
            raise failure

    def _records(self, *, is_dead: bool) -> Iterator[Request]:
        """Yield requests from the cursor on, which moves along, and count what is lost."""
        missing = torn = 0
        for number, request in self.ring.slots_from(self.number):
            expected = self.number + missing
            if request is None or number < expected:
                missing += 1
                torn += number == TORN
                if missing > _WIDEST_GAP:
                    self.is_damaged |= is_dead and torn > _MOST_UNFINISHED
                    return
                continue
            if number > expected:
                # The writer has gone around: of what it left, the oldest is in the next slot.
                oldest = number - self.ring.slots + 1
                self.untold += oldest - self.number
                self.number, missing, torn = oldest, 0, 0
                continue
            if missing and not (is_dead or self._has_waited()):
                return
            # What a dead writer's threads never finished were no requests that had ended.
            self.untold += 0 if is_dead and missing <= _MOST_UNFINISHED else missing
            self.number, missing, torn, self._gap_since = number + 1, 0, 0, None
            yield request

    def _told(self, at_ms: int) -> Loss:
        loss, self.untold = Loss(at_ms, self.untold), 0
        return loss

    def _has_waited(self) -> bool:
        """Say whether the gap in front of the cursor has been there for long."""
        now = time.monotonic()
        if self._gap_since is None:
            self._gap_since = now
        return now - self._gap_since > _GAP_PATIENCE_S


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
