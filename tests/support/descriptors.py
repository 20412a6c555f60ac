"""How many files this process has open, and how many it may have."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


def opened_files() -> set[int]:
    """Return the numbers of all open descriptors of this process."""
    return {int(number) for number in os.listdir("/proc/self/fd")}  # noqa: PTH208


@contextmanager
def few_more_files(count: int) -> Iterator[None]:
    """Let this process open no more than `count` files beside those that are open now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened, limit, left = opened_files(), 0, count
    while left:
        left -= limit not in opened
        limit += 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
