"""What a sampler is, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from store.histograms import LatencyHistogram

#: The intervals' histograms by latency class.
Intervals = Mapping[str, LatencyHistogram]


@dataclass(frozen=True)
class Reading:
    """A section's values as they go into the document, freshly read.

    `missing` gives the reason of each value that could not be had while others could;
    `reason` is public and says why the whole section has nothing to show, such as `no_samples`.
    """

    values: Any
    missing: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None


def _nothing() -> Intervals:
    return {}


def _keep(_intervals: Intervals) -> None:
    return None


@dataclass(frozen=True)
class Sampler:
    """How the sections that belong together are read.

    `empty` has the form of each section when nothing is known, all values null. `sample` reads
    them, or raises SampleError; it is None when nothing is configured to be read. A sampler
    that also fills interval histograms hands them over with `cut_intervals`, and takes them back
    with `restore_intervals` when they could not be stored.
    """

    name: str
    empty: Mapping[str, Any]
    sample: Callable[[], Mapping[str, Reading]] | None
    cut_intervals: Callable[[], Intervals] = _nothing
    restore_intervals: Callable[[Intervals], None] = _keep
