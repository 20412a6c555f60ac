"""Counting requests by class: each once in its window, and once in its interval."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from config.latency import LatencyClass
from daemon.latency.state import State, WindowState, intervals_of, rules_of
from daemon.latency.window import Window, in_order_of_time
from daemon.requests import Batch, is_error
from store.intervals import LatencyInterval


class OwnPaths:
    """The paths of requests that opsnap itself causes: they belong to no class.

    `pages` are paths with everything below them, `probes` are paths alone.
    """

    def __init__(self, pages: Collection[str], probes: Collection[str]) -> None:
        self._exact = frozenset([*pages, *probes])
        self._below = tuple(f"{page}/" for page in pages)

    def __contains__(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._below)


@dataclass
class Found:
    """What was found for the window of class `key`, newest first."""

    key: str
    batch: Batch = field(default_factory=Batch)


class Tally:
    """The windows and the present interval of every class. Not thread-safe."""

    def __init__(self, classes: Iterable[LatencyClass], own_paths: OwnPaths) -> None:
        self.windows = {rules.key: Window(rules) for rules in classes}
        self._own_paths = own_paths
        self._intervals = self._no_intervals()

    def count(self, batch: Batch) -> None:
        """Count the requests of `batch`, sorted by the time they ended, and what is beside them."""
        foreign = [request for request in batch.requests if request.path not in self._own_paths]
        for key, window in self.windows.items():
            mine = [request for request in foreign if window.takes(request.path)]
            window.add(mine)
            window.note(batch)
            interval = self._intervals[key]
            interval.log_lines += batch.lines
            interval.unparsed += batch.unparsed
            for loss in batch.losses:
                interval.note_loss(loss.requests)
            if mine:
                errors = sum(is_error(request.status) for request in mine)
                interval.histogram.record_all([one.duration_us for one in mine], errors=errors)
                interval.note_time(mine[0].ended_at_ms or 0, mine[-1].ended_at_ms or 0)

    def newest_of(self, keys: Iterable[str], batches: Iterable[Batch]) -> list[Found]:
        """Return what fills the windows of `keys` from `batches`, which come newest first."""
        found = [Found(key) for key in keys]
        for batch in batches:
            for one in found:
                takes = self.windows[one.key].takes
                mine = [
                    request
                    for request in batch.requests
                    if takes(request.path) and request.path not in self._own_paths
                ]
                one.batch.add(Batch(mine, [], batch.lines, batch.unparsed))
            if all(len(one.batch.requests) >= self.windows[one.key].rules.window for one in found):
                break
        return found

    def fill(self, found: Iterable[Found]) -> None:
        """Put what `newest_of` found into its windows.

        It is in no interval: it happened before this daemon watched.
        """
        for one in found:
            window = self.windows[one.key]
            one.batch.requests.reverse()
            window.add(sorted(one.batch.requests, key=in_order_of_time))
            window.note(one.batch)

    def resume(self, state: State) -> None:
        """Begin with what an earlier run knew of the classes that are still the same."""
        self.windows = {key: Window(window.rules) for key, window in self.windows.items()}
        unknown = self.unknown_to(state)
        for key, window in self.windows.items():
            if key not in unknown:
                stored = state.windows[key]
                window.add(stored.requests)
                window.losses, window.lines = list(stored.losses), list(stored.lines)
        self._intervals = self._no_intervals()
        # Of classes that are gone as well: their requests happened, and are stored once more.
        self.restore(intervals_of(state))

    def unknown_to(self, state: State) -> list[str]:
        """Return the keys of the classes whose windows, by their present rules, are not there."""
        return [
            key
            for key, window in self.windows.items()
            if (stored := state.windows.get(key)) is None or stored.rules != rules_of(window)
        ]

    def window_states(self) -> dict[str, WindowState]:
        """Return copies of all windows."""
        return {key: WindowState.of(window) for key, window in self.windows.items()}

    @property
    def intervals(self) -> dict[str, LatencyInterval]:
        """What was counted since the last cut."""
        return self._intervals

    def cut(self) -> dict[str, LatencyInterval]:
        """Return the intervals since the last cut, and begin new ones."""
        cut, self._intervals = self._intervals, self._no_intervals()
        return cut

    def restore(self, intervals: dict[str, LatencyInterval]) -> None:
        """Take back intervals that could not be stored, to be part of the next."""
        for key, interval in intervals.items():
            self._intervals.setdefault(key, LatencyInterval()).merge(interval)

    def _no_intervals(self) -> dict[str, LatencyInterval]:
        return {key: LatencyInterval() for key in self.windows}
