"""One file that holds a log: its whole lines from an offset on, and how it is known again.

A line counts when its newline has been written. A file is known again by its inode and by a digest
of its first bytes, because an inode is given to another file once its own is deleted.
"""

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHUNK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 16
_HEAD_BYTES = 256


@dataclass(frozen=True)
class Place:
    """How far a file has been read; all that is kept of it over a restart, and no word of it.

    `head` is the digest of its first `head_bytes` bytes. `is_live` says that its writer may have
    had it open.
    """

    inode: int
    head_bytes: int
    head: str
    offset: int
    is_in_long_line: bool
    is_live: bool

    @classmethod
    def of_json(cls, data: Any) -> "Place":
        """Return the place that `as_json` wrote."""
        return cls(**data)

    @classmethod
    def of_unread(cls, inode: int, size: int) -> "Place":
        """Return the place at the end of a file that cannot be read now."""
        return cls(inode, 0, "", size, is_in_long_line=False, is_live=False)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return dict(vars(self))


@dataclass
class LogFile:
    """An open file, how far it has been read, and the begin of a line without an end yet.

    `broken_lines` counts lines that were too long to be read.
    """

    fd: int
    identity: tuple[int, int]
    offset: int = 0
    broken_lines: int = 0
    _head_bytes: int = 0
    _head: str = ""
    _partial: bytes = b""
    _is_in_long_line: bool = False
    renamed_at: float | None = None

    @classmethod
    def open(cls, path: Path) -> "LogFile":
        """Open the regular file at `path`, to be read from its start. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return cls(fd, (found.st_dev, found.st_ino))

    def go_to_last_line(self) -> None:
        """Take everything as read but a last line whose end is not written yet."""
        size = self.size()
        start = max(0, size - _LONGEST_LINE_BYTES)
        newline = os.pread(self.fd, size - start, start).rfind(b"\n")
        self.offset = start + newline + 1 if newline >= 0 or start == 0 else size
        self._note_head()

    def go_to(self, place: Place) -> None:
        """Go on from `place`, or from the end if the file is shorter."""
        self.offset = min(place.offset, self.size())
        self._is_in_long_line = place.is_in_long_line
        self._note_head()

    def place(self, *, is_live: bool) -> Place:
        """Return where a later run goes on: before a line that is not whole yet."""
        offset = self.offset - len(self._partial)
        inode = self.identity[1]
        return Place(inode, self._head_bytes, self._head, offset, self._is_in_long_line, is_live)

    def begins_as(self, place: Place) -> bool:
        """Say whether its first bytes are those of `place`."""
        return _digest(self.fd, place.head_bytes) == place.head

    def size(self) -> int:
        """Return its length in bytes."""
        return os.fstat(self.fd).st_size

    def age_s(self) -> float:
        """Return for how many seconds nothing has been written to it."""
        return time.time() - os.fstat(self.fd).st_mtime

    def was_truncated(self) -> bool:
        """Say whether it became shorter, or begins with other bytes than before."""
        return self.size() < self.offset or _digest(self.fd, self._head_bytes) != self._head

    def read_lines(self) -> Iterator[list[str]]:
        """Yield the whole lines since the last call, in lists. Raises OSError."""
        while chunk := os.pread(self.fd, _CHUNK_BYTES, self.offset):
            self.offset += len(chunk)
            self._note_head()
            yield self._whole_lines(chunk)

    def close(self) -> None:
        """Close it; the begin of a line that never ended is broken."""
        self.broken_lines += bool(self._partial)
        os.close(self.fd)

    def _note_head(self) -> None:
        wanted = min(self.offset, _HEAD_BYTES)
        if wanted > self._head_bytes:
            self._head_bytes, self._head = wanted, _digest(self.fd, wanted)

    def _whole_lines(self, chunk: bytes) -> list[str]:
        *whole, self._partial = (self._partial + chunk).split(b"\n")
        if whole and self._is_in_long_line:
            del whole[0]
            self._is_in_long_line = False
        if len(self._partial) > _LONGEST_LINE_BYTES:
            self.broken_lines += not self._is_in_long_line
            self._partial, self._is_in_long_line = b"", True
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]


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


def _digest(fd: int, size: int) -> str:
    """Return a digest of the file's first `size` bytes, empty for none."""
    head = os.pread(fd, size, 0) if size else b""
    return hashlib.blake2b(head, digest_size=16).hexdigest() if head else ""
