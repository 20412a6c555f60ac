"""Keeping what is collected between ticks: going on from the store, and bringing it there early."""

import threading
from contextlib import suppress

from sqlalchemy import Engine

from daemon.failures import SampleError
from daemon.sampler import Collecting
from store.latency_state import checkpoint, read_state


class Keeping:
    """What `collecting` collects, and the snapshot in the store that it goes on from.

    `storing` is to be held from a cut of what was collected to the end of its commit, so that
    nothing else is cut meanwhile. `since_ms` is that snapshot's time (Unix ms), 0 before the first.
    """

    def __init__(self, engine: Engine, source: str, collecting: Collecting) -> None:
        """Prepare; `resume` begins."""
        self._engine, self._source, self._collecting = engine, source, collecting
        self.storing = threading.Lock()
        self.since_ms = 0

    def resume(self) -> None:
        """Go on from the stored state: an earlier run's, or that of another daemon.

        To be called with `storing` held. Raises SQLAlchemy's errors, and SchemaError when the state
        cannot be read.
        """
        with self._engine.connect() as connection:
            stored = read_state(connection, self._source)
        self._collecting.resume(stored.state if stored else None)
        self.since_ms = stored.taken_at_ms if stored else 0

    def drain(self, *, is_last: bool = False) -> None:
        """Collect what is new, and store it now if its source may not keep it until the next tick.

        With `is_last` it is stored in any case. Raises SQLAlchemy's errors.
        """
        with suppress(SampleError):  # the next tick meets it too, and tells of it
            self._collecting.drain()
        if (is_last or self._collecting.is_urgent()) and self.storing.acquire(blocking=False):
            try:
                self._checkpoint()
            finally:
                self.storing.release()

    def _checkpoint(self) -> None:
        held = self._collecting.held()
        if checkpoint(self._engine, self._source, self.since_ms, held.encoded()):
            self._collecting.stored(held)
            self._collecting.tidy()
        # Otherwise somebody else writes under this name, as the next tick will find out.
