"""One ring file of the recorder, format version 1, as `recorder/ring.py` describes it."""

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.requests import Request

MAGIC: Final = b"OPSNAPR1"
RECORD_SIZE: Final = 128
TORN: Final = -1
_HEADER = struct.Struct("<8sIIIIQI")
_RECORD = struct.Struct("<QQQHBB8s88sI")
_CHECKED_BYTES = RECORD_SIZE - 4
#: Records are read from the file in pieces of this many.
_PIECE = 512
_MOST_SLOTS = 1 << 22


class RingError(Exception):
    """The file is no ring, or is damaged."""


@dataclass
class RingFile:
    """An open ring: `slots` records, of which the writer overwrites the oldest.

    `missed` is how many requests of the writing process ended before the ring's first record and
    stand in no ring at all.
    """

    fd: int
    slots: int
    missed: int

    @classmethod
    def open(cls, path: Path) -> "RingFile":
        """Open the ring at `path`. Raises OSError, and RingError when it is not one."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls(fd, *_read_header(os.pread(fd, _HEADER.size, 0)))
        except BaseException:
            os.close(fd)
            raise

    def close(self) -> None:
        """Close the file, if it is open."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def has_writer(self) -> bool:
        """Say whether the process that writes the ring lives: it holds a lock on the file."""
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.lockf(self.fd, fcntl.LOCK_UN)
        return False

    def slots_from(self, number: int) -> "Iterator[tuple[int, Request | None]]":
        """Yield what the slots hold, from the one of record `number` on, at most once around.

        Each is the number that stands there and its request. Without a request the number is 0 for
        a slot that was never written, TORN for one that is being written or is damaged.
        """
        left = self.slots
        slot = (number - 1) % self.slots
        while left:
            count = min(_PIECE, left, self.slots - slot)
            piece = os.pread(self.fd, count * RECORD_SIZE, (slot + 1) * RECORD_SIZE)
            whole = len(piece) - len(piece) % RECORD_SIZE
            for start in range(0, whole, RECORD_SIZE):
                yield _decode(piece, start)
            if whole < count * RECORD_SIZE:
                return
            left -= count
            slot = (slot + count) % self.slots


def _read_header(head: bytes) -> tuple[int, int]:
    """Return how many slots a header tells of, and how many missed requests.

    Raises RingError when it is none.
    """
    if len(head) < _HEADER.size:
        raise RingError("shorter than a header")
    magic, record_size, slots, _pid, _zero, missed, checksum = _HEADER.unpack(head)
    if magic != MAGIC or zlib.crc32(head[:-4]) != checksum:
        raise RingError("no header of version 1")
    if record_size != RECORD_SIZE or not 0 < slots <= _MOST_SLOTS:
        raise RingError("a header with impossible sizes")
    return slots, missed


def _decode(piece: bytes, start: int) -> tuple[int, Request | None]:
    number, ended_at_ns, duration_ns, status, _, path_length, _, path, checksum = (
        _RECORD.unpack_from(piece, start)
    )
    if number == 0:
        return 0, None
    if zlib.crc32(piece[start : start + _CHECKED_BYTES]) != checksum:
        return TORN, None
    text = path[:path_length].decode("utf-8", "replace")
    # Rounded up: a request took some time, and what took less than 1 µs is not out of range.
    duration_us = -(-duration_ns // 1000)
    return number, Request(ended_at_ns // 1_000_000, duration_us, status, text)
