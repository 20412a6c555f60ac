"""Keeping memory that will be wanted again at once.

Every roll-up merges histograms, arrays of 190 KB each that live for a moment. glibc gives such
memory back to the system and asks for it anew, page by page: a third of the time of a long past.
"""

import ctypes

#: From glibc's malloc.h, and how much may be kept.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _LARGEST_BYTES = 256 << 20, 32 << 20


def keep_memory() -> None:
    """Let this process keep what it has freed, where the C library is one that can be told."""
    tell = getattr(ctypes.CDLL(None), "mallopt", None)
    if tell is not None:
        tell(_TRIM_THRESHOLD, _KEPT_BYTES)
        tell(_MMAP_THRESHOLD, _LARGEST_BYTES)
