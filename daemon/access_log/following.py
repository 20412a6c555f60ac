"""Following a log through rotation: every whole line once, also across a restart of this daemon.

Rotation by renaming: the old file is read on for a while, because its writer keeps it open until it
is told to reopen, and files that came and went between two looks are found beside the log.
Rotation by truncation in place: reading goes on in the copy, then at the log's start; what was
written between copy and truncation is gone, and nobody can say whether there was any.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from daemon.access_log.log_file import LogFile, Place
from daemon.access_log.recognition import recognise
from daemon.access_log.rotation import earlier_parts
from daemon.failures import SampleError, network_reason
from daemon.requests import Loss

#: How long a file that was renamed away is kept open, in seconds, and how many at most.
_AFTERLIFE_S = 120.0
_MOST_RENAMED = 64


class LogFollower:
    """Follows the log at `path`. `others` are logs of their own, whatever they are named like."""

    def __init__(self, path: Path, others: Collection[Path] = ()) -> None:
        self.path = path
        self._others = frozenset(others)
        self._broken_lines = 0
        #: Where the followed files began, the oldest first: what is before is read by others.
        self.began_at: list[tuple[Path, int]] = []
        self._current: LogFile | None = None
        self._renamed: list[LogFile] = []
        self._known: list[Place] = []
        self._losses: list[Loss] = []
        #: Inodes of earlier parts that may not be read: now, and those of which that was told.
        self._hidden: set[int] = set()
        self._told_hidden: set[int] = set()
        self._truncated: Place | None = None
        self._starts_at_end = False

    def begin(self, places: list[Any] | None) -> None:
        """Go on from the `places` of an earlier run; without them at the end of what is there.

        A log that is not there yet is read from its start once it appears.
        """
        self.close()
        self._known = [Place.of_json(one) for one in places or []]
        self._starts_at_end = places is None
        # A log that cannot be opened now is looked for again when it is read.
        with suppress(OSError):
            self._find()

    def read_new_lines(self) -> Iterator[list[str]]:
        """Yield the whole lines written since the last call, in lists, oldest first.

        Raises SampleError at the end when the file is not there or cannot be read.
        """
        try:
            for log in list(self._renamed):
                for lines in log.read_lines():
                    # Its writer has not been told yet.
                    log.renamed_at = time.monotonic()
                    yield lines
            self._let_go_of_renamed()
            self._let_go_if_truncated()
            if self._current is not None:
                yield from self._current.read_lines()
            if self._current is None or self._has_been_replaced(self._current):
                self._rename_current()
                for log in self._find():
                    yield from log.read_lines()
        except OSError as error:
            raise SampleError(network_reason(error) or "unreadable", str(error)) from error

    @property
    def broken_lines(self) -> int:
        """How many lines had no usable end; they hold no request."""
        opened = [*self._renamed, *([self._current] if self._current else [])]
        return self._broken_lines + sum(log.broken_lines for log in opened)

    @property
    def count_of_earlier_parts(self) -> int:
        """How many rotated files of the log are known."""
        return len(self._renamed) + len(self._known)

    def take_losses(self) -> list[Loss]:
        """Return what was lost since the last call."""
        losses, self._losses = self._losses, []
        return losses

    def places(self) -> list[Any] | None:
        """Return how far every file has been read, for `begin`; None before the first look."""
        if self._starts_at_end:
            return None
        opened = [(log, True) for log in self._renamed]
        opened += [(self._current, True)] if self._current else []
        places = [log.place(is_live=is_live) for log, is_live in opened]
        inodes = {place.inode for place in places}
        places += [place for place in self._known if place.inode not in inodes]
        return [place.as_json() for place in places]

    def close(self) -> None:
        """Close every file and forget it."""
        for log in [*self._renamed, *([self._current] if self._current else [])]:
            self._close(log)
        self._renamed, self._current, self._known, self.began_at = [], None, [], []
        self._losses, self._truncated = [], None

    def _find(self) -> list[LogFile]:
        """Find the log and its earlier parts; return those that are to be read, oldest first.

        Raises OSError, and keeps all places, while the log itself cannot be opened: a volume that
        is not mounted yet is no end of a log.
        """
        # The log first: one that is renamed right now is found under its old or its new name.
        try:
            current = LogFile.open(self.path)
        except FileNotFoundError:
            if self._starts_at_end:
                # What comes under its name will all be new; what lies beside it is not.
                self._keep(self._earlier_parts(None))
            raise
        found = [*self._earlier_parts(current), (self.path, self._opened_before(current))]
        return self._keep(found)

    def _keep(self, found: list[tuple[Path, LogFile]]) -> list[LogFile]:
        """Set the files to where they have been read to, and keep open what is to be read."""
        if self._starts_at_end:
            for _, log in found:
                log.go_to_last_line()
        else:
            places = [place for place in self._known if place.inode not in self._hidden]
            if recognise(self.path, found, places, self._truncated):
                self._losses.append(Loss(_now_ms(), None))
        self._starts_at_end, self._truncated = False, None
        self._known = [place for place in self._known if place.inode in self._hidden]
        self.began_at = [(path, log.offset) for path, log in found]
        opened: list[LogFile] = []
        for path, log in found:
            if path == self.path:
                self._current = log
                opened.append(log)
            elif log.offset < log.size() or log.age_s() < _AFTERLIFE_S:
                log.renamed_at = time.monotonic()
                self._renamed.append(log)
                opened.append(log)
            else:
                self._known.append(log.place(is_live=False))
                self._close(log)
        return opened

    def _earlier_parts(self, current: LogFile | None) -> list[tuple[Path, LogFile]]:
        """Open the log's earlier parts, oldest first, but those that are open already."""
        opened = {log.identity for log in self._renamed if not log.was_truncated()}
        opened |= {current.identity} if current else set()
        found: list[tuple[Path, LogFile]] = []
        self._hidden = set()
        for path in earlier_parts(self.path, self._others):
            try:
                log = LogFile.open(path)
            except FileNotFoundError:
                continue
            except OSError:
                self._note_hidden(path)
                continue
            if log.identity in opened:
                log.close()
            else:
                found.append((path, log))
        return found

    def _opened_before(self, current: LogFile) -> LogFile:
        """Return the log as it is open already: renamed back, or a link to one of its parts."""
        for mine in self._renamed:
            if mine.identity == current.identity and not mine.was_truncated():
                self._renamed.remove(mine)
                current.close()
                return mine
        return current

    def _note_hidden(self, path: Path) -> None:
        """Note an earlier part that cannot be read; what is in it is lost, or read later."""
        with suppress(OSError):
            found = path.stat()
            if self._starts_at_end:
                self._known.append(Place.of_unread(found.st_ino, found.st_size))
                self._told_hidden.add(found.st_ino)
            self._hidden.add(found.st_ino)
            if found.st_ino not in self._told_hidden:
                self._told_hidden.add(found.st_ino)
                self._losses.append(Loss(_now_ms(), None))

    def _let_go_if_truncated(self) -> None:
        """Close the log if it was emptied in place, and note how far it had been read."""
        if self._current is not None and self._current.was_truncated():
            self._truncated = self._current.place(is_live=True)
            self._close(self._current)
            self._current = None

    def _rename_current(self) -> None:
        if self._current is not None:
            self._current.renamed_at = time.monotonic()
            self._renamed.append(self._current)
            self._current = None

    def _let_go_of_renamed(self) -> None:
        now = time.monotonic()
        for log in list(self._renamed):
            is_old = now - (log.renamed_at or now) > _AFTERLIFE_S
            if is_old or len(self._renamed) > _MOST_RENAMED:
                self._renamed.remove(log)
                self._known.append(log.place(is_live=False))
                self._close(log)

    def _has_been_replaced(self, log: LogFile) -> bool:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return True
        return (found.st_dev, found.st_ino) != log.identity

    def _close(self, log: LogFile) -> None:
        log.close()
        self._broken_lines += log.broken_lines


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
