"""One tick: all samplers side by side under one deadline, then the document of the snapshot."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config import Config
from daemon.depth_history import DepthHistory
from daemon.sampler import Collecting, Cut, Reading, Sampler
from daemon.sections import CARRIED_INTERVALS, FRESH, LastGood, Section
from daemon.side_by_side import SideBySide, Task
from store.codec import Document, encode
from store.latency_state import StateChange
from store.times import iso_utc, plain_utc
from store.writing import Snapshot

SCHEMA = 1
#: After how many intervals without a newer one a snapshot is out of date.
LIFE_INTERVALS = 3
#: Samplers start this far apart, the nodes first: round-trip times are measured in a process in
#: which at most one other sampler computes. Side by side they would wait 2 to 5 ms for each other.
_SPACING_S = 0.03


@dataclass(frozen=True)
class Tick:
    """What a tick brought: the snapshot to commit, and the sections to report."""

    snapshot: Snapshot
    sections: Mapping[str, Section]
    cut: Cut | None


class Cycle:
    """Runs the samplers tick after tick, and remembers what carries over from one to the next."""

    def __init__(self, config: Config, samplers: list[Sampler]) -> None:
        """Prepare, without touching a source."""
        self._config, self._samplers = config, samplers
        self._interval_ms = config.schedule.interval_s * 1000
        self._side_by_side: SideBySide[Mapping[str, Reading]] = SideBySide("sampler", _SPACING_S)
        self._last_good = LastGood(CARRIED_INTERVALS * self._interval_ms)
        self._depths = DepthHistory()

    def remember_last_good(self, document: Document) -> None:
        """Take over the values of the newest snapshot of an earlier run."""
        empty = {name: form for sampler in self._samplers for name, form in sampler.empty.items()}
        self._last_good.remember_document(document, empty)

    def remember_depth(self, taken_at_ms: int, document: Document) -> None:
        """Take over the queue's depth of a stored snapshot. To be called oldest first."""
        status = document.get("sections", {}).get("queue", {}).get("status")
        depth = (document.get("queue") or {}).get("depth")
        if status in FRESH and isinstance(depth, int):
            self._depths.add(taken_at_ms, depth)

    @property
    def collecting(self) -> Collecting | None:
        """What is collected between ticks, if anything is."""
        return next((s.collecting for s in self._samplers if s.collecting), None)

    def run(self, taken_at_ms: int, stop: threading.Event | None = None) -> Tick | None:
        """Sample everything and return the tick, or None when `stop` was set meanwhile."""
        sections = self.sample(taken_at_ms, stop)
        return None if sections is None else self.finish(taken_at_ms, sections)

    def sample(
        self, taken_at_ms: int, stop: threading.Event | None = None
    ) -> Mapping[str, Section] | None:
        """Sample everything and return the sections, or None when `stop` was set meanwhile."""
        deadline_s = self._config.schedule.tick_deadline_s
        active = {s.name: Task(s.sample, deadline_s) for s in self._samplers if s.sample}
        outcomes = self._side_by_side.run(active, stop)
        if stop is not None and stop.is_set():
            return None
        sections: dict[str, Section] = {}
        for sampler in self._samplers:
            outcome = outcomes.get(sampler.name)
            sections |= self._last_good.sections_of(sampler, outcome, taken_at_ms)
        self._rank_depth(sections, taken_at_ms)
        return sections

    def finish(
        self, taken_at_ms: int, sections: Mapping[str, Section], after_version: int = 0
    ) -> Tick:
        """Return the tick of what was sampled, with what was collected until now.

        `after_version` is the version of the stored state that collecting went on from.

        The tick of a snapshot that was stored is to be handed to `stored`, any other to
        `not_stored`.
        """
        cut = self.collecting.cut() if self.collecting else None
        snapshot = Snapshot(
            source=self._config.store.source,
            taken_at_ms=taken_at_ms,
            interval_ms=self._interval_ms,
            document=encode(self._document(taken_at_ms, sections)),
            intervals=cut.intervals if cut else {},
            latency_state=StateChange(after_version, cut.encoded()) if cut else None,
        )
        return Tick(snapshot, sections, cut)

    def stored(self, tick: Tick) -> None:
        """Note that the tick's snapshot is part of the record."""
        queue = tick.sections["queue"]
        if queue.status in FRESH:
            self._depths.add(tick.snapshot.taken_at_ms, queue.values["depth"])
        if self.collecting and tick.cut:
            self.collecting.stored(tick.cut)

    def not_stored(self, tick: Tick) -> None:
        """Keep the tick's interval histograms: their requests go into the next snapshot."""
        if self.collecting and tick.cut:
            self.collecting.restore(tick.cut)

    def _rank_depth(self, sections: Mapping[str, Section], now_ms: int) -> None:
        """Add the rank to the fresh section itself, so that it is carried with it."""
        queue = sections["queue"]
        if queue.status not in FRESH:
            return
        rank = self._depths.percentile_rank(queue.values["depth"], now_ms)
        queue.values["depth_percentile"] = rank
        if rank is None:
            queue.missing["depth_percentile"] = "no_samples"

    def _document(self, taken_at_ms: int, sections: Mapping[str, Section]) -> Document:
        platform = self._config.platform
        values: dict[str, Any] = {name: section.values for name, section in sections.items()}
        return {
            "ok": True,
            "schema": SCHEMA,
            "source": self._config.store.source,
            "interval_s": self._config.schedule.interval_s,
            "taken_at": iso_utc(taken_at_ms),
            "expires_at": iso_utc(taken_at_ms + LIFE_INTERVALS * self._interval_ms),
            "generated_at": plain_utc(taken_at_ms),
            "platform": {
                "name": platform.name,
                "region": platform.region,
                "description": platform.description,
            },
            **values,
            "sections": {
                name: {"title": self._title(name, section), **section.entry()}
                for name, section in sections.items()
            },
        }

    def _title(self, name: str, section: Section) -> str:
        configured: str | None = getattr(self._config.titles, name, None)
        return configured or section.values["title"] or "Request latency"
