"""From what a sampler gave to a section of the document: fresh, partial, stale, error or off.

A section that failed carries its last good values with the time they are from, for ten intervals;
then they are dropped, because by then they say nothing about the present.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.failures import SampleError
from daemon.sampler import Reading, Sampler
from daemon.side_by_side import Outcome
from store.codec import Document
from store.times import iso_utc, parse_iso_ms

#: For how many intervals last good values stand in.
CARRIED_INTERVALS = 10
#: States whose values are of this tick.
FRESH = frozenset({"ok", "partial"})
#: Reasons that tell of a quiet platform, not of a failure.
_QUIET = frozenset({"no_samples"})


@dataclass(frozen=True)
class Section:
    """A section as the document shows it, and the failures behind it for the log."""

    values: Any
    status: str
    sampled_at_ms: int | None
    took_ms: float | None
    reason: str | None
    missing: dict[str, str] = field(default_factory=dict)
    troubles: Mapping[str, SampleError] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Return the section's entry under `sections`; `missing` only when there is any."""
        entry: dict[str, Any] = {
            "status": self.status,
            "sampled_at": None if self.sampled_at_ms is None else iso_utc(self.sampled_at_ms),
            "took_ms": None if self.took_ms is None else round(self.took_ms, 1),
            "reason": self.reason,
        }
        return {**entry, "missing": dict(self.missing)} if self.missing else entry


class LastGood:
    """The last good values of every section, from this run or from the stored record."""

    def __init__(self, carried_ms: int) -> None:
        """Keep values for `carried_ms` milliseconds after they were sampled."""
        self._carried_ms = carried_ms
        self._sections: dict[str, Section] = {}

    def remember_document(self, document: Document, empty: Mapping[str, Any]) -> None:
        """Take over the values of a stored document that still have the configured form."""
        for name, form in empty.items():
            entry = document.get("sections", {}).get(name) or {}
            values, sampled_at = document.get(name), entry.get("sampled_at")
            if sampled_at and _has_form(values, form):
                missing = entry.get("missing") or {}
                sampled_at_ms = parse_iso_ms(sampled_at)
                self._sections[name] = Section(values, "ok", sampled_at_ms, None, None, missing)

    def sections_of(
        self, sampler: Sampler, outcome: Outcome[Mapping[str, Reading]] | None, now_ms: int
    ) -> dict[str, Section]:
        """Return the sampler's sections at `now_ms` (Unix ms); no outcome: nothing configured."""
        return {
            name: self._section(name, form, outcome, now_ms) for name, form in sampler.empty.items()
        }

    def _section(
        self, name: str, form: Any, outcome: Outcome[Mapping[str, Reading]] | None, now_ms: int
    ) -> Section:
        if outcome is None:
            return Section(form, "off", None, None, "not_configured")
        if outcome.value is not None:
            fresh = _fresh(outcome.value[name], outcome)
            self._sections[name] = fresh
            return fresh
        failure = outcome.why_not()
        troubles = {"": failure}
        last = self._sections.get(name)
        if last is not None and now_ms - (last.sampled_at_ms or 0) <= self._carried_ms:
            return Section(
                last.values,
                "stale",
                last.sampled_at_ms,
                outcome.took_ms,
                failure.reason,
                last.missing,
                troubles,
            )
        self._sections.pop(name, None)
        return Section(form, "error", None, outcome.took_ms, failure.reason, troubles=troubles)


def _fresh(reading: Reading, outcome: Outcome[Any]) -> Section:
    failed = {n: f for n, f in reading.missing.items() if f.reason not in _QUIET}
    return Section(
        reading.values,
        "partial" if failed else "ok",
        outcome.began_at_ms,
        outcome.took_ms,
        next((failure.reason for failure in failed.values()), reading.reason),
        {name: failure.reason for name, failure in reading.missing.items()},
        {**failed, **reading.troubles},
    )


def _has_form(values: Any, form: Any) -> bool:
    """Say whether stored values fit what the configuration asks for now."""
    if isinstance(form, list):
        return isinstance(values, list) and (not form or _ids(values) == _ids(form))
    return isinstance(values, dict) and (not form or values.keys() == form.keys())


def _ids(rows: list[Any]) -> list[Any]:
    return [row.get("id") if isinstance(row, dict) else None for row in rows]
