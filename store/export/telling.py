"""What is said of an export: while it goes on, and at its end."""

import time
from typing import TextIO

from store.export.exporting import Exported
from store.times import plain_utc

_SECONDS_BETWEEN = 0.2
#: Of a terminal: back to the line's begin, and what stands there is wiped out.
_ANEW = "\r\x1b[K"


class Progress:
    """One line on a terminal, written over itself some times a second; elsewhere nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._is_shown = stream, stream.isatty()
        self._told_at = 0.0

    def __call__(self, exported: Exported) -> None:
        """Tell what was exported so far."""
        now = time.monotonic()
        if not self._is_shown or exported.last_ms is None or now - self._told_at < _SECONDS_BETWEEN:
            return
        self._told_at = now
        self._write(f"{exported.rows:,} rows, up to {plain_utc(exported.last_ms)} …")

    def end(self) -> None:
        """Wipe the line out."""
        if self._is_shown:
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(_ANEW + text)
        self._stream.flush()


def summary(exported: Exported) -> str:
    """Return in a line what was exported, and where snapshots had been thinned out."""
    if exported.first_ms is None or exported.last_ms is None:
        return "0 rows: nothing is stored of that period"
    told = (
        f"{exported.rows:,} rows, {plain_utc(exported.first_ms)} to {plain_utc(exported.last_ms)}"
    )
    if exported.snapshots:
        told += f", of {exported.snapshots:,} snapshots"
    if exported.last_thinned_ms is not None:
        told += (
            f"; {exported.thinned:,} of them, up to {plain_utc(exported.last_thinned_ms)}, stand"
            " alone for 5 minutes or an hour: no more are kept"
        )
    return told
