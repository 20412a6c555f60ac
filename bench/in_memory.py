"""Directories in memory, as the recorder's is under /run."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import statvfs
from pathlib import Path

_MEMORY = Path("/dev/shm")


@contextmanager
def directory_in_memory(otherwise: Path, size: int) -> Iterator[Path]:
    """Give a new directory in memory, or in `otherwise` when there is no room for `size` bytes."""
    parent = _MEMORY if _room(_MEMORY) > size else otherwise
    with tempfile.TemporaryDirectory(prefix="opsnap-bench-", dir=parent) as directory:
        yield Path(directory)


def _room(directory: Path) -> int:
    try:
        found = statvfs(directory)
    except FileNotFoundError:
        return 0
    return found.f_bavail * found.f_frsize
