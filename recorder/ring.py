"""The ring file: one a process, in which the newest requests stand, one fixed-size record each.

Format, version 1. All numbers little-endian.

The file is 128 bytes of header, then `slots` records of 128 bytes.

    header   offset  0   8 bytes  magic, b"OPSNAPR1"
                     8   u32      record size, 128
                    12   u32      slots
                    16   u32      process id of the writer
                    20   u32      crc32 of bytes 0 to 19
                    24            zeros

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

While it lives the writer holds a POSIX record lock (`fcntl`, exclusive) on the file. The kernel
takes it away when the process ends, however it ends: that tells a reader that the ring is complete.
"""

import fcntl
import itertools
import mmap
import os
import struct
import zlib
from time import time_ns

MAGIC = b"OPSNAPR1"
RECORD_SIZE = 128
PATH_SIZE = 88
METHOD_SIZE = 8
SUFFIX = ".ring"
#: 2 MB a process: at 2,000 requests a second, eight seconds until a record is overwritten.
DEFAULT_SLOTS = 16_384

_HEADER = struct.Struct("<8sIII")
_RECORD = struct.Struct("<QQQHBB8s88s")
_CRC = struct.Struct("<I")


class RingWriter:
    """Writes records of this process into a new file in `directory`. Safe for threads.

    Raises OSError when the file cannot be made.
    """

    def __init__(self, directory: str, slots: int = DEFAULT_SLOTS) -> None:
        name = f"{os.getpid()}-{os.urandom(6).hex()}"
        path = os.path.join(directory, name + SUFFIX)
        hidden = os.path.join(directory, "." + name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(hidden, flags, 0o640)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = RECORD_SIZE * (slots + 1)
            # Not a sparse file: writing into a hole of a full file system would kill the process.
            os.posix_fallocate(self._fd, 0, size)
            self._map = mmap.mmap(self._fd, size)
            header = _HEADER.pack(MAGIC, RECORD_SIZE, slots, os.getpid())
            self._map[: _HEADER.size + _CRC.size] = header + _CRC.pack(zlib.crc32(header))
            # Under its name only when it is complete: no reader sees a file without a header.
            os.rename(hidden, path)
        except BaseException:
            os.close(self._fd)
            os.unlink(hidden)
            raise
        self._slots = slots
        # next() of a count is one step of the interpreter: two threads never get one number.
        self._next_number = itertools.count(1).__next__

    def write(self, duration_ns: int, status: int, method: bytes, path: bytes) -> None:
        """Add one request; `path` is without the query string."""
        number = self._next_number()
        path = path[:PATH_SIZE]
        method = method[:METHOD_SIZE]
        record = _RECORD.pack(
            number, time_ns(), duration_ns, status, len(method), len(path), method, path
        )
        start = ((number - 1) % self._slots + 1) * RECORD_SIZE
        self._map[start : start + RECORD_SIZE] = record + _CRC.pack(zlib.crc32(record))

    def abandon(self) -> None:
        """Let go of a ring of the parent process, in the child, without touching its records."""
        self._map.close()
        os.close(self._fd)
