"""The ring file: one a process, in which the newest requests stand, one fixed-size record each.

Format, version 1. All numbers little-endian.

The file is 128 bytes of header, then `slots` records of 128 bytes.

    header   offset  0   8 bytes  magic, b"OPSNAPR1"
                     8   u32      record size, 128
                    12   u32      slots, from 1 to 4,194,304
                    16   u32      process id of the writer
                    20   u32      zero
                    24   u64      missed: how many requests of this process ended before record 1
                                  and stand in no ring, because none could be written then
                    32   u32      crc32 of bytes 0 to 31
                    36            zeros

    record   offset  0   u64      sequence number, from 1
                     8   u64      when the request ended, nanoseconds since the Unix epoch
                    16   u64      how long it took, nanoseconds by the monotonic clock
                    24   u16      HTTP status, 0 if none was sent
                    26   u8       length of the method
                    27   u8       length of the path
                    28   8 bytes  method, zero-padded
                    36  88 bytes  path without the query string, zero-padded, cut to 88 bytes
                   124   u32      crc32 of bytes 0 to 123

Record number n stands in slot (n - 1) mod slots, over the record that was there. A reader that
expects n and finds a good checksum and the number n has it whole; a smaller number or zeros: not
written yet; a greater one: overwritten, lost; a bad checksum: being written right now, or, when the
writer is dead, never finished. So no reader needs a lock and no writer ever waits for one.

A ring is whole as soon as it has its name; what begins with a dot is none. While the writer uses it
it holds a POSIX record lock (`fcntl`, exclusive) on the file. The kernel takes it away when the
process ends, however it ends: that tells a reader that no more records will come.

A writer whose file was removed, renamed or shortened, or lost its header, goes on in a new one. It
looks every 5 s. Until then a *shortened* file is dangerous: the kernel answers a store beyond its
end with SIGBUS, which ends the process. Nothing locks a regular file against that, and pwrite(2) in
the place of the map would cost every request a system call and a turn at the interpreter's lock.
So nobody may write into a ring, not even the writer's user: with its mode, 0440, only root, or who
does a chmod before, can shorten it. To remove a ring is always safe.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import struct
import zlib
from collections.abc import Callable
from time import time_ns

from .placing import place_file

MAGIC = b"OPSNAPR1"
RECORD_SIZE = 128
PATH_SIZE = 88
METHOD_SIZE = 8
SUFFIX = ".ring"
#: 2 MB a process: at 2,000 requests a second, eight seconds until a record is overwritten.
DEFAULT_SLOTS = 16_384
#: 512 MB: what readers take for a ring and not for a damaged header.
MOST_SLOTS = 1 << 22
#: How often a writer looks whether its file is still where readers look for it.
LOOK_EVERY_NS = 5_000_000_000

_HEADER = struct.Struct("<8sIIIIQ")
_CRC = struct.Struct("<I")
_pack_record = struct.Struct("<QQQHBB8s88s").pack
_pack_crc = _CRC.pack
_crc32 = zlib.crc32


def ring_size(slots: int) -> int:
    """Return how many bytes a ring file of so many slots has."""
    return RECORD_SIZE * (slots + 1)


class RingWriter:
    """Writes records of this process into a new file in `directory`. Safe for threads.

    `missed` is how many requests the header says were not recorded before; `now_ns` is the time of
    day. Raises OSError when the file cannot be made. The file is let go, and readers know it as
    finished, when no thread holds the writer any more.
    """

    _fd = -1

    def __init__(
        self,
        directory: str,
        slots: int = DEFAULT_SLOTS,
        missed: int = 0,
        now_ns: Callable[[], int] = time_ns,
    ) -> None:
        name = f"{os.getpid()}-{os.urandom(6).hex()}{SUFFIX}"
        header = _HEADER.pack(MAGIC, RECORD_SIZE, slots, os.getpid(), 0, missed)
        self._header = header + _pack_crc(_crc32(header))
        self._path = os.path.join(directory, name)
        self._slots = slots
        self._now_ns = now_ns
        # next() of a count is one step of the interpreter: two threads never get one number.
        self._next_number = itertools.count(1).__next__
        self._fd = place_file(directory, name, self._prepare)
        # Not by the descriptor: not every file system tells the same of both.
        self._file_id = _file_id(self._path)
        self._looked_ns = now_ns()
        self._look_again_ns = self._looked_ns + LOOK_EVERY_NS

    def _prepare(self, fd: int) -> None:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Not a sparse file: writing into a hole of a full file system would kill the process.
        os.posix_fallocate(fd, 0, ring_size(self._slots))
        self._map = mmap.mmap(fd, ring_size(self._slots))
        self._map[: len(self._header)] = self._header

    def write(self, duration_ns: int, status: int, method: bytes, path: bytes) -> bool:
        """Add one request; `path` is without the query string, `status` from 0 to 65535.

        Returns False, and adds nothing, when the file is not where readers look any more.
        """
        now_ns = self._now_ns()
        # Two sides: the time of day can be set back.
        if not self._looked_ns <= now_ns < self._look_again_ns and not self._look(now_ns):
            return False
        number = self._next_number()
        # Asking first: two slices that cut nothing would cost a tenth of all this.
        if len(method) > METHOD_SIZE:
            method = method[:METHOD_SIZE]
        if len(path) > PATH_SIZE:
            path = path[:PATH_SIZE]
        record = _pack_record(
            number, now_ns, duration_ns, status, len(method), len(path), method, path
        )
        start = ((number - 1) % self._slots + 1) * RECORD_SIZE
        self._map[start : start + RECORD_SIZE] = record + _pack_crc(_crc32(record))
        return True

    def _look(self, now_ns: int) -> bool:
        """Say whether the file is in its place and whole; do not ask again for a while if it is."""
        if self._file_id is None or _file_id(self._path) != self._file_id:
            return False
        # In this order: to read beyond the end of a file that was shortened would be the end of us.
        is_long = os.fstat(self._fd).st_size >= len(self._map)
        if not is_long or self._map[: len(self._header)] != self._header:
            return False
        self._looked_ns, self._look_again_ns = now_ns, now_ns + LOOK_EVERY_NS
        return True

    def abandon(self) -> None:
        """Let go of the file now. For a ring of the parent process, in the child."""
        self._map.close()
        self._close()

    def _close(self, close: Callable[[int], None] = os.close) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            close(fd)

    # By reference counting: a thread that is writing still has the file, and nobody waits for it.
    __del__ = _close


def _file_id(path: str) -> tuple[int, int] | None:
    """Return which file is at `path` now; None if nobody can see one there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
