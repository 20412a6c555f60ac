"""What an operator reads: a line a tick, one when a source breaks, one when it mends."""

import logging
from collections.abc import Mapping

from config.masking import one_line
from daemon.failures import SampleError
from daemon.sections import Section
from store.times import plain_utc

log = logging.getLogger("opsnap.daemon")


class SourceLog:
    """Remembers what is broken, so that a source that stays broken is told once."""

    def __init__(self) -> None:
        self._broken: dict[str, tuple[str, int]] = {}

    def report(self, sections: Mapping[str, Section]) -> None:
        """Log what broke, changed its reason, or mended since the last tick."""
        troubles = {
            f"{name}.{part}" if part else name: failure
            for name, section in sections.items()
            for part, failure in section.troubles.items()
        }
        for source, failure in troubles.items():
            self._tell_if_new(source, failure)
        for source in self._broken.keys() - troubles.keys():
            _, ticks = self._broken.pop(source)
            log.info("%s: mended after %d tick(s)", source, ticks)

    def _tell_if_new(self, source: str, failure: SampleError) -> None:
        reason, ticks = self._broken.get(source, ("", 0))
        self._broken[source] = (failure.reason, ticks + 1)
        if failure.reason != reason:
            log.warning("%s: broken: %s: %s", source, failure.reason, one_line(failure.detail))


def report_tick(taken_at_ms: int, sections: Mapping[str, Section], took_ms: float) -> None:
    """Log one line about a committed tick: how many sections are fine, and what each took."""
    shown = {name: section for name, section in sections.items() if section.status != "off"}
    others = [f"{name} {s.status}" for name, s in shown.items() if s.status != "ok"]
    log.info(
        "tick %s: %d ok, %d not%s, committed after %.0f ms (%s)",
        plain_utc(taken_at_ms),
        len(shown) - len(others),
        len(others),
        f" ({', '.join(others)})" if others else "",
        took_ms,
        ", ".join(f"{name} {section.took_ms or 0:.0f}" for name, section in shown.items()),
    )
