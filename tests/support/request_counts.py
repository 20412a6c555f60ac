"""What an application's processes count of their own requests, where a kill -9 cannot take it.

Each process has a file of its own, mapped into its memory, of 64-bit numbers: for each class of
paths how many responses are about to be over, how many are over, and how many of those had status
500 or more. Whatever records requests stands between the first two. So where they are equal no
request is being recorded, and it is certain which requests the process has completed.
"""

import mmap
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

USERS, ADMIN, OTHER = range(3)
_ABOUT_TO_BE_OVER, _OVER, _FAILED = range(3)
_NUMBERS_A_CLASS = 3
_SIZE = 8 * 3 * _NUMBERS_A_CLASS
_SUFFIX = ".counts"


def class_of(path: str) -> int:
    """Return the class of a path, as the operator's file in these tests has its rules."""
    if path.startswith("/admin/"):
        return ADMIN
    return USERS if path.startswith("/api/") else OTHER


class ProcessCounts:
    """The numbers of this process, in `directory`. Safe for threads and forks."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._pid = 0

    def about_to_be_over(self, path: str) -> None:
        self._add_one(path, _ABOUT_TO_BE_OVER)

    def over(self, path: str, status: int) -> None:
        if status >= 500:
            self._add_one(path, _FAILED)
        self._add_one(path, _OVER)

    def _add_one(self, path: str, number: int) -> None:
        with self._lock:
            if self._pid != os.getpid():
                self._open()
            # Written as a whole: who stops the process never finds half a number.
            self._numbers[class_of(path) * _NUMBERS_A_CLASS + number] += 1

    def _open(self) -> None:
        self._pid = os.getpid()
        name = f"{self._pid}-{os.urandom(4).hex()}{_SUFFIX}"
        with (self._directory / name).open("xb+") as file:
            file.truncate(_SIZE)
            self._numbers = memoryview(mmap.mmap(file.fileno(), _SIZE)).cast("Q")


@dataclass(frozen=True)
class Completed:
    """How many requests of a class were completed, and how many of those the server failed."""

    count: int
    errors: int


def completed(directory: Path) -> dict[str, Completed]:
    """Return what all processes together completed, by the key of the class."""
    totals = [sum(numbers) for numbers in zip(*_all_numbers(directory.iterdir()), strict=True)]
    assert _is_certain(totals), totals
    return {
        key: Completed(totals[start + _OVER], totals[start + _FAILED])
        for key, start in (
            ("latency", USERS * _NUMBERS_A_CLASS),
            ("latency_admin", ADMIN * _NUMBERS_A_CLASS),
        )
    }


def is_certain_what_is_over(directory: Path, pid: int) -> bool:
    """Say whether `pid`, which is stopped, stands outside of every request's last moment."""
    return all(map(_is_certain, _all_numbers(directory.glob(f"{pid}-*"))))


def _is_certain(numbers: list[int]) -> bool:
    return numbers[_ABOUT_TO_BE_OVER::_NUMBERS_A_CLASS] == numbers[_OVER::_NUMBERS_A_CLASS]


def _all_numbers(paths: Iterable[Path]) -> list[list[int]]:
    # A file that has just been made has no size yet, and no request in it.
    return [list(memoryview(data).cast("Q")) for p in paths if (data := p.read_bytes())]
