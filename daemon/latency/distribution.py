"""How the durations of a window are distributed: counts between bounds on a logarithmic scale."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from math import ceil
from typing import Any, Final

from store.histograms import HIGHEST_US, LOWEST_US

_BINS_A_DECADE: Final = 8


def _bound_ms(number: int) -> Decimal:
    """Return the lower bound of bin `number`, rounded to four significant digits as published."""
    return Decimal(f"{10 ** (number / _BINS_A_DECADE):.4g}")


#: The bin that begins at 1 µs, and the one in which 1 h is.
_FIRST: Final = -3 * _BINS_A_DECADE
_LAST: Final = 6 * _BINS_A_DECADE + 4
_BOUNDS_MS: Final = [_bound_ms(number) for number in range(_FIRST, _LAST + 2)]
#: The shortest duration of each bin. Durations are whole microseconds, bounds are not.
_SHORTEST_US: Final = [ceil(bound_ms * 1000) for bound_ms in _BOUNDS_MS]


def distribution(durations_us: Iterable[int]) -> dict[str, Any] | None:
    """Return `{"bounds_ms": [b0, …, bn], "counts": [c1, …, cn]}`, None without durations.

    `counts[i]` of the durations took at least `bounds_ms[i]` and less than `bounds_ms[i + 1]`.
    The bounds are 10^(k/8) ms to four significant digits, from the first bin with a duration to the
    last one. Below 1 µs a duration counts as 1 µs, above 1 h as 1 h.
    """
    by_bin = Counter(map(partial(bisect_right, _SHORTEST_US), map(_in_range, durations_us)))
    if not by_bin:
        return None
    first, last = min(by_bin), max(by_bin)
    return {
        # The bin that bisect_right calls n begins at bound n - 1.
        "bounds_ms": [float(bound_ms) for bound_ms in _BOUNDS_MS[first - 1 : last + 1]],
        "counts": [by_bin[number] for number in range(first, last + 1)],
    }


def _in_range(duration_us: int) -> int:
    return min(max(duration_us, LOWEST_US), HIGHEST_US)
