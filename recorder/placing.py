"""A new file among the rings: seen only when it is whole, made only while there is room."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress

#: Rings that nobody reads and removes must not fill a machine's memory: 2 GB of the usual size.
MOST_RINGS = 1024

# Nobody may write: a file that is shortened under its writer's map would kill the writer.
_MODE = 0o440
_FLAGS = os.O_RDWR | os.O_CLOEXEC


def place_file(directory: str, name: str, prepare: Callable[[int], None]) -> int:
    """Make a file, have it prepared, and only then give it its name; return its descriptor.

    Raises OSError, and whatever `prepare` raises; then there is no file. `prepare` may be called
    for a second file when the first one came to nothing.
    """
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):
            return _place_nameless(directory, name, prepare)
    return _place_hidden(directory, name, prepare)


def _place_nameless(directory: str, name: str, prepare: Callable[[int], None]) -> int:
    """Leave nothing behind when the process is killed now. Not every file system has that."""
    fd = os.open(directory, _FLAGS | os.O_TMPFILE, _MODE)
    try:
        prepare(fd)
        # With a descriptor in the place of the folder the link in /proc is followed.
        path = os.path.join(directory, name)
        os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _place_hidden(directory: str, name: str, prepare: Callable[[int], None]) -> int:
    hidden = os.path.join(directory, "." + name)
    fd = os.open(hidden, _FLAGS | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        prepare(fd)
        os.rename(hidden, os.path.join(directory, name))
    except BaseException:
        os.close(fd)
        with suppress(OSError):
            os.unlink(hidden)
        raise
    return fd


def check_room(directory: str, size: int) -> None:
    """Raise OSError when `directory` is full of rings: many, or more than room is left for.

    Rings of ended processes are removed by opsnap. Where it does not run they would become more
    with every worker that is recycled.
    """
    try:
        count = len(os.listdir(directory))
    except PermissionError:
        return  # who may only put files here cannot be the judge of that
    room = os.statvfs(directory)
    is_full = room.f_blocks and count * size > room.f_bavail * room.f_frsize
    if is_full or count >= MOST_RINGS:
        reason = f"{count} files are there already, does opsnap read and remove them?"
        raise OSError(errno.ENOSPC, reason, directory)
