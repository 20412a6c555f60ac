"""Platform state: the operator's counters, and version and uptime from the health URL."""

from collections.abc import Mapping
from typing import Any

from config import Config
from daemon.failures import SampleError
from daemon.http_probe import Answer
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler, partial_reading
from daemon.samplers.counting import count_each
from daemon.samplers.health import ask_health, uptime_words
from daemon.side_by_side import SideBySide

_FROM_HEALTH = ("uptime", "uptime_s", "version")


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `state`."""
    statements = dict(config.state.counts) if config.state else {}
    names = (*statements, *_FROM_HEALTH)
    empty: dict[str, Any] = {"state": dict.fromkeys(names)}
    if config.state is None and config.platform.health_url is None:
        return Sampler("state", empty, None)
    side_by_side: SideBySide[Answer] = SideBySide("state")

    def sample() -> Mapping[str, Reading]:
        values: dict[str, Any] = dict.fromkeys(names)
        failures: dict[str, SampleError] = {}
        if statements and database is not None:
            numbers, failures = count_each(database, statements)
            values |= numbers
        try:
            values |= _health_values(config, side_by_side)
        except SampleError as error:
            failures |= dict.fromkeys(_FROM_HEALTH, error)
        return {"state": partial_reading(values, failures)}

    return Sampler("state", empty, sample)


def _health_values(config: Config, side_by_side: SideBySide[Answer]) -> dict[str, Any]:
    if config.platform.health_url is None:
        return {}
    health = ask_health(config.platform, side_by_side)
    words = None if health.uptime_s is None else uptime_words(health.uptime_s)
    return {"uptime": words, "uptime_s": health.uptime_s, "version": health.version}
