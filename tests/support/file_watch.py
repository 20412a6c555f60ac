"""Counting who opens the files of a directory, as the kernel tells it (inotify(7))."""

import ctypes
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Self

_IN_OPEN, _IN_Q_OVERFLOW = 0x20, 0x4000
_EVENT = struct.Struct("iIII")
_LIBC = ctypes.CDLL(None, use_errno=True)


class OpenedFiles:
    """Counts the times that any process opens a file in `directory`, by the file's name."""

    def __init__(self, directory: Path) -> None:
        self._counts: Counter[str] = Counter()
        self._fd = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        _checked(_LIBC.inotify_add_watch(self._fd, os.fsencode(directory), _IN_OPEN))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def count(self, name_begins: str) -> int:
        """Return how often files whose names begin so were opened since the start."""
        self._read()
        return sum(n for name, n in self._counts.items() if name.startswith(name_begins))

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 1 << 20)
            except BlockingIOError:
                return
            while data:
                _, mask, _, length = _EVENT.unpack_from(data)
                assert not mask & _IN_Q_OVERFLOW, "more was opened than the kernel could tell"
                name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
                self._counts[os.fsdecode(name)] += 1
                data = data[_EVENT.size + length :]


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "inotify is not available")
    return result
