"""Following a log file: only whole lines, each once, through renaming and truncation.

A line counts when its newline has been written. A file that was renamed away is read on for a
while, because its writer keeps it open until it is told to reopen. A file that became shorter,
or begins with other bytes than before, was truncated in place: it is read from its start, and
what may have been lost between is said with `truncated_at_ms`.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from daemon.failures import SampleError, network_reason

_CHUNK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 16
_HEAD_BYTES = 256
#: How long a file that was renamed away is still read, in seconds.
_AFTERLIFE_S = 120.0


@dataclass
class _OpenLog:
    """An open file, how far it has been read, and the begin of a line without an end yet."""

    fd: int
    identity: tuple[int, int]
    offset: int
    head: bytes
    partial: bytes = b""
    is_in_long_line: bool = False
    renamed_at: float | None = None


@dataclass
class LogFollower:
    """Follows `path`. `broken_lines` counts lines without a usable end; they hold no request.

    `truncated_at_ms` is when a truncation in place was last noticed (Unix ms), None if never.
    """

    path: Path
    broken_lines: int = 0
    truncated_at_ms: int | None = None
    _current: _OpenLog | None = None
    _renamed: list[_OpenLog] = field(default_factory=list)

    def start_at_end(self) -> int | None:
        """Open the file at its end and return that offset in bytes, None while it is not there.

        A file that is not there yet is read from its start once it appears.
        """
        try:
            self._current = _open(self.path)
        except SampleError:
            return None
        # Back to the last line's begin: its end may not be written yet.
        self._current.offset = _end_of_last_line(self._current.fd)
        return self._current.offset

    def read_new_lines(self) -> Iterator[list[str]]:
        """Yield the whole lines written since the last call, in lists, oldest first.

        Raises SampleError at the end when the file is not there or cannot be read.
        """
        for log in list(self._renamed):
            yield from self._read(log)
            if log.renamed_at is not None and time.monotonic() - log.renamed_at > _AFTERLIFE_S:
                self._close(log)
                self._renamed.remove(log)
        if self._current is None:
            self._current = _open(self.path)
        yield from self._read(self._current)
        if self._has_been_replaced(self._current):
            self._current.renamed_at = time.monotonic()
            self._renamed.append(self._current)
            self._current = None
            self._current = _open(self.path)
            yield from self._read(self._current)

    def close(self) -> None:
        """Close every file."""
        for log in [*self._renamed, *([self._current] if self._current else [])]:
            os.close(log.fd)
        self._renamed, self._current = [], None

    def _has_been_replaced(self, log: _OpenLog) -> bool:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise _unreadable(error) from error
        return (found.st_dev, found.st_ino) != log.identity

    def _read(self, log: _OpenLog) -> Iterator[list[str]]:
        try:
            if _was_truncated(log):
                self.truncated_at_ms = time.time_ns() // 1_000_000
                self.broken_lines += bool(log.partial)
                log.offset, log.partial, log.is_in_long_line, log.head = 0, b"", False, b""
            while chunk := os.pread(log.fd, _CHUNK_BYTES, log.offset):
                if len(log.head) < _HEAD_BYTES and log.offset == len(log.head):
                    log.head += chunk[: _HEAD_BYTES - len(log.head)]
                log.offset += len(chunk)
                yield self._whole_lines(log, chunk)
        except OSError as error:
            raise _unreadable(error) from error

    def _whole_lines(self, log: _OpenLog, chunk: bytes) -> list[str]:
        *whole, log.partial = (log.partial + chunk).split(b"\n")
        if whole and log.is_in_long_line:
            del whole[0]
            log.is_in_long_line = False
        if len(log.partial) > _LONGEST_LINE_BYTES:
            self.broken_lines += not log.is_in_long_line
            log.partial, log.is_in_long_line = b"", True
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def _close(self, log: _OpenLog) -> None:
        self.broken_lines += bool(log.partial)
        os.close(log.fd)


def read_backwards(path: Path, end: int, most_bytes: int) -> Iterator[str]:
    """Yield the whole lines before offset `end` of the file at `path`, newest first.

    At most `most_bytes` are read. A file that is not there or not readable yields nothing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        start, rest = end, b""
        while start > 0 and end - start < most_bytes:
            size = min(_CHUNK_BYTES, start)
            start -= size
            first, *whole = (os.pread(fd, size, start) + rest).split(b"\n")
            rest = first
            for line in reversed(whole):
                if line:
                    yield line.decode("utf-8", "replace").rstrip("\r")
            if len(rest) > _LONGEST_LINE_BYTES:
                return
        if start == 0 and rest:
            yield rest.decode("utf-8", "replace").rstrip("\r")
    finally:
        os.close(fd)


def _open(path: Path) -> _OpenLog:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(fd)
            head = os.pread(fd, _HEAD_BYTES, 0)
        except OSError:
            os.close(fd)
            raise
    except OSError as error:
        raise _unreadable(error) from error
    return _OpenLog(fd, (found.st_dev, found.st_ino), 0, head)


def _was_truncated(log: _OpenLog) -> bool:
    if os.fstat(log.fd).st_size < log.offset:
        return True
    return os.pread(log.fd, len(log.head), 0) != log.head


def _end_of_last_line(fd: int) -> int:
    """Return the offset after the last newline, within the longest line; else the end."""
    size = os.fstat(fd).st_size
    start = max(0, size - _LONGEST_LINE_BYTES)
    newline = os.pread(fd, size - start, start).rfind(b"\n")
    return start + newline + 1 if newline >= 0 or start == 0 else size


def _unreadable(error: OSError) -> SampleError:
    return SampleError(network_reason(error) or "unreadable", str(error))
