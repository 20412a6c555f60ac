"""Numbers without a pattern to the eye, each a function of a seed, a name and a place alone."""

import random
from functools import cache
from math import floor
from zlib import crc32

_BITS = 14
_MASK = (1 << _BITS) - 1


class Noise:
    """Numbers from 0 to 1. Those of different names have nothing to do with each other."""

    def __init__(self, seed: int) -> None:
        dice = random.Random(seed)
        self._numbers = [dice.random() for _ in range(1 << _BITS)]

    def at(self, name: str, place: int) -> float:
        """Return the number at `place`: neighbours are independent."""
        mixed = (place * 0x9E3779B1 + _salt(name)) & 0xFFFFFFFF
        return self._numbers[(mixed ^ mixed >> 15) & _MASK]

    def smooth(self, name: str, place: float) -> float:
        """Return the number at `place` on a line that bends from one whole place to the next."""
        left = floor(place)
        part = place - left
        before, after = self.at(name, left), self.at(name, left + 1)
        return before + (after - before) * part * part * (3 - 2 * part)


@cache
def _salt(name: str) -> int:
    return crc32(name.encode())
