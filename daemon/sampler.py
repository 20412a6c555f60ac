"""What a sampler is, and what it gives back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from daemon.failures import SampleError
from daemon.requests import Position
from store.intervals import LatencyInterval


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


@dataclass(frozen=True)
class Cut:
    """What was collected between two snapshots, by latency class, to be stored with the second.

    `encoded` returns the state from which collecting goes on once that is done, `positions` are
    those in it.
    """

    intervals: Mapping[str, LatencyInterval]
    positions: Mapping[str, Position]
    encoded: Callable[[], bytes]


class Collecting(Protocol):
    """What a sampler collects all the time, each thing once; see `daemon.latency.collector`."""

    def resume(self, stored: bytes | None) -> None:
        """Go on from a stored state; None: the first start. Raises SchemaError."""

    def drain(self) -> None:
        """Collect what is new. Raises SampleError."""

    def is_urgent(self) -> bool:
        """Say whether what was collected had better be stored before the next snapshot."""

    def cut(self) -> Cut:
        """Return what was collected since the last cut."""

    def held(self) -> Cut:
        """Return a cut without intervals, whose state has what was collected since the last."""

    def restore(self, cut: Cut) -> None:
        """Take back what could not be stored, to be part of the next cut."""

    def stored(self, cut: Cut) -> None:
        """Note that the state of `cut` is stored."""

    def tidy(self) -> None:
        """Remove what the stored state is done with."""


@dataclass(frozen=True)
class Sampler:
    """How the sections that belong together are read.

    `empty` has the form of each section when nothing is known, all values null. `sample` reads
    them, or raises SampleError; it is None when nothing is configured to be read. `collecting` is
    there when it also fills interval histograms.
    """

    name: str
    empty: Mapping[str, Any]
    sample: Callable[[], Mapping[str, Reading]] | None
    collecting: Collecting | None = None


def partial_reading(values: Mapping[str, Any], failures: Mapping[str, SampleError]) -> Reading:
    """Return what could be read, with the failures behind the rest.

    Raises the first failure when there is no value at all, so that the last good ones stand in.
    """
    if failures and all(value is None for value in values.values()):
        raise next(iter(failures.values()))
    return Reading(values, failures)
