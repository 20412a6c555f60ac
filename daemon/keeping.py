"""Keeping what is collected between ticks: going on from the store, and bringing it there early."""

import threading
from contextlib import suppress

from sqlalchemy import Engine

from daemon.failures import SampleError
from daemon.sampler import Collecting
from store.latency_state import (
    StateChange,
    StateMovedError,
    checkpoint,
    read_state,
    state_version,
)

#: The version of no stored state.
_UNKNOWN = -1


class Keeping:
    """What `collecting` collects, and the `version` of the stored state that it goes on from.

    `storing` is to be held from a cut of what was collected to the end of its commit, so that
    nothing else is cut meanwhile.
    """

    def __init__(self, engine: Engine, source: str, collecting: Collecting) -> None:
        """Prepare; `resume` begins."""
        self._engine, self._source, self._collecting = engine, source, collecting
        self.storing = threading.Lock()
        self.version = 0

    def resume(self) -> None:
        """Go on from the stored state: an earlier run's, or that of another daemon.

        To be called with `storing` held. Raises SQLAlchemy's errors, and SchemaError when the state
        cannot be read.
        """
        with self._engine.connect() as connection:
            stored = read_state(connection, self._source)
        self._collecting.resume(stored.state if stored else None)
        self.version = stored.version if stored else 0

    def let_go(self) -> None:
        """Forget what was collected, and resume as soon as the store can be asked."""
        self.version = _UNKNOWN

    def follow(self) -> None:
        """Resume if somebody else has stored a state, or we did by a commit that seemed to fail.

        What was collected until then is in it. Raises as `resume` does.
        """
        with self.storing:
            with self._engine.connect() as connection:
                version = state_version(connection, self._source)
            if version != self.version:
                self.resume()

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
            # No tick waits for this, which itself waits for whoever reads a slow source.
            self._collecting.tidy()

    def _checkpoint(self) -> None:
        held = self._collecting.held()
        try:
            checkpoint(self._engine, self._source, StateChange(self.version, held.encoded()))
        except StateMovedError:
            self.resume()
            return
        self.version += 1
        self._collecting.stored(held)
