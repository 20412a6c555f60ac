"""What a sampler is, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.failures import SampleError
from store.histograms import LatencyHistogram

#: The intervals' histograms by latency class.
Intervals = Mapping[str, LatencyHistogram]


@dataclass(frozen=True)
class Reading:
    """A section's values as they go into the document, freshly read.

    `missing` has the failure behind each value that could not be had while others could.
    `reason` is public and says why the whole section has nothing to show, such as `no_samples`.
    `troubles` are for the log alone: failures that the values themselves tell about, by name.
    """

    values: Any
    missing: Mapping[str, SampleError] = field(default_factory=dict)
    reason: str | None = None
    troubles: Mapping[str, SampleError] = field(default_factory=dict)


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


def partial_reading(values: Mapping[str, Any], failures: Mapping[str, SampleError]) -> Reading:
    """Return what could be read, with the failures behind the rest.

    Raises the first failure when there is no value at all, so that the last good ones stand in.
    """
    if failures and all(value is None for value in values.values()):
        raise next(iter(failures.values()))
    return Reading(values, failures)
