"""The snapshot of a moment: sections with what went wrong in them, put together by the daemon."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import log2
from typing import Any

from bench.year.happenings import Happening
from bench.year.platform import Platform
from bench.year.rhythm import busyness
from bench.year.traffic import DRAWS, LEVELS_A_DOUBLING, Traffic
from config import Config
from daemon.cycle import Cycle
from daemon.samplers import build_samplers
from daemon.sections import CARRIED_INTERVALS, Section
from store.intervals import LatencyInterval
from store.times import DAY_MS, HOUR_MS
from store.writing import Snapshot

#: Requests of an average interval of 30 s, by class, at the begin of 2025.
REQUESTS = {"latency": 90.0, "latency_admin": 2.0}
#: How long a section's sampler takes at least, and at most on top of it, in milliseconds.
_TOOK_MS = {"nodes": (560.0, 380.0), "latency": (3.0, 4.0), "latency_admin": (3.0, 4.0)}
_TOOK_OTHERWISE_MS = (2.0, 6.0)
#: What the health URL says, and what is computed from the jobs: missing when that fails.
_PARTS = {"state": ("uptime", "uptime_s", "version"), "pipeline": ("avg_encode_s", "encode_jobs")}
#: A daemon that was stopped is back by then.
_LONGEST_STOP_MS = 7 * DAY_MS
#: Samplers start so far apart, in this order.
_SPACING_MS = 30


class Year:
    """Snapshots of any moment on the grid of `config`'s interval, by a seed."""

    def __init__(self, config: Config, seed: int) -> None:
        self._config, self._cycle = config, Cycle(config, [])
        self.interval_ms = config.schedule.interval_s * 1000
        self._platform, self._traffic = Platform(config, seed), Traffic(seed)
        self._rules = {one.key: one for one in config.latency.classes} if config.latency else {}
        samplers = build_samplers(config)
        self._empty = {name: form for one in samplers for name, form in one.empty.items()}
        platform = self._platform
        self._readings: dict[str, Callable[[int], Any]] = {
            "state": platform.state,
            "queue": platform.queue,
            "outcomes": platform.outcomes,
            "experiments": platform.experiments,
            "pipeline": platform.pipeline,
        }
        self._places = {name: place for place, name in enumerate(self._empty)}

    def documents(self, starts_at_ms: int, ends_at_ms: int) -> Iterator[Snapshot]:
        """Yield the snapshots of [starts, ends), Unix ms, without their intervals."""
        going_on = self._platform.timeline.between(
            starts_at_ms - (CARRIED_INTERVALS + 1) * self.interval_ms, ends_at_ms
        )
        first_ms = -(-starts_at_ms // self.interval_ms) * self.interval_ms
        for at_ms in range(first_ms, ends_at_ms, self.interval_ms):
            now = _of_moment(going_on, at_ms)
            if any(one.kind == "stopped" for one in now):
                continue
            sections = {name: self._section(name, at_ms, now) for name in self._empty}
            yield self._cycle.finish(at_ms, sections).snapshot

    def first_ms(self, at_ms: int) -> int:
        """Return when the first snapshot at or after `at_ms` is taken (Unix ms)."""
        return next(self.documents(at_ms, at_ms + _LONGEST_STOP_MS)).taken_at_ms

    def last_ms(self, at_ms: int) -> int:
        """Return when the last snapshot before `at_ms` was taken (Unix ms)."""
        since_ms = at_ms
        while True:
            since_ms -= HOUR_MS
            if taken := list(self.documents(since_ms, since_ms + HOUR_MS)):
                return taken[-1].taken_at_ms

    def with_intervals(self, snapshot: Snapshot, after_ms: int | None) -> Snapshot:
        """Return `snapshot` with the requests since the one at `after_ms` (Unix ms)."""
        at_ms = snapshot.taken_at_ms
        now = _of_moment(self._platform.timeline.between(at_ms, at_ms + 1), at_ms)
        is_unreadable = any((one.kind, one.name) == ("failing", "latency") for one in now)
        is_slow = any(one.kind == "slow" for one in now)
        age_ms = self.interval_ms if after_ms is None else at_ms - after_ms
        intervals = {
            key: self._interval(key, at_ms, age_ms, is_slow=is_slow)
            for key in self._rules
            if not is_unreadable
        }
        return replace(snapshot, intervals=intervals)

    def _interval(self, key: str, at_ms: int, age_ms: int, *, is_slow: bool) -> LatencyInterval:
        draw = self._platform.noise.at(key, at_ms)
        # A log is read from where it was left: after a stop an interval holds more.
        requests = REQUESTS[key] * busyness(at_ms) * age_ms / (30 * 1000) * (0.75 + draw / 2)
        interval = self._traffic.interval(
            key,
            requests,
            is_slow=is_slow,
            draw=self._platform.noise.at(f"{key} draw", at_ms),
            ends_at_ms=at_ms,
            age_ms=age_ms,
        )
        if key == next(iter(self._rules)):
            interval.log_lines = interval.histogram.count + 4
            interval.unparsed = int(draw > 0.995)
        return interval

    def _section(self, name: str, at_ms: int, now: list[Happening]) -> Section:
        source = "latency" if name.startswith("latency") else name
        for one in now:
            if one.name == source and one.kind == "failing":
                return self._failing(name, at_ms, one)
        values = self._values(name, at_ms, now)
        missing = {}
        for one in now:
            if one.name == source and one.kind == "partial":
                missing = dict.fromkeys(_PARTS[name], one.reason)
                values = {**values, **dict.fromkeys(missing)}
        return Section(
            values,
            "partial" if missing else "ok",
            self._sampled_at_ms(name, at_ms),
            self._took_ms(name, at_ms),
            next(iter(missing.values()), None),
            missing,
        )

    def _failing(self, name: str, at_ms: int, why: Happening) -> Section:
        good_ms = (why.starts_at_ms - 1) // self.interval_ms * self.interval_ms
        took_ms = self._took_ms(name, at_ms)
        if at_ms - good_ms > CARRIED_INTERVALS * self.interval_ms:
            return Section(self._empty[name], "error", None, took_ms, why.reason)
        values = self._values(name, good_ms, [])
        sampled_at_ms = self._sampled_at_ms(name, good_ms)
        return Section(values, "stale", sampled_at_ms, took_ms, why.reason)

    def _values(self, name: str, at_ms: int, now: list[Happening]) -> Any:
        if name == "nodes":
            return self._platform.nodes(at_ms, _down(now))
        if name in self._rules:
            return self._window(name, at_ms, is_slow=any(one.kind == "slow" for one in now))
        return self._readings[name](at_ms)

    def _window(self, key: str, at_ms: int, *, is_slow: bool) -> Mapping[str, Any]:
        noise, busy, rules = self._platform.noise, busyness(at_ms), self._rules[key]
        level = round(LEVELS_A_DOUBLING * log2(REQUESTS[key] * busy))
        # A window changes as slowly as it takes to fill it.
        fills_s = 30 * rules.window / (REQUESTS[key] * busy)
        number = int(DRAWS * noise.at(f"{key} window", int(at_ms / (fills_s * 1000))))
        oldest_s = round(fills_s * (0.9 + 0.2 * noise.at(key, at_ms)), 1)
        entry = self._traffic.window(rules, level, is_slow, number)
        return {**entry, "oldest_s": oldest_s, "log_lines": rules.window + 40}

    def _sampled_at_ms(self, name: str, at_ms: int) -> int:
        return (
            at_ms + _SPACING_MS * self._places[name] + int(3 * self._platform.noise.at(name, at_ms))
        )

    def _took_ms(self, name: str, at_ms: int) -> float:
        least_ms, more_ms = _TOOK_MS.get(name, _TOOK_OTHERWISE_MS)
        return least_ms + more_ms * self._platform.noise.at(f"{name} took", at_ms) ** 3


def _of_moment(happenings: list[Happening], at_ms: int) -> list[Happening]:
    return [one for one in happenings if one.starts_at_ms <= at_ms < one.ends_at_ms]


def _down(now: list[Happening]) -> dict[str, str]:
    return {one.name: one.reason for one in now if one.kind == "down"}
