"""Platform state: the operator's counters, and version and uptime from the health URL."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from config import Config
from daemon.failures import SampleError
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler, partial_reading
from daemon.samplers.counting import count_each
from daemon.samplers.health import Health, health_task, uptime_words
from daemon.side_by_side import SideBySide, Task

_FROM_HEALTH = ("uptime", "uptime_s", "version")
#: Before the tick's own deadline, which would take the health answer away with the counters.
_SHARE_OF_DEADLINE = 0.95


def build(config: Config, database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `state`."""
    statements = dict(config.state.counts) if config.state else {}
    names = (*statements, *_FROM_HEALTH)
    empty: dict[str, Any] = {"state": dict.fromkeys(names)}
    if config.state is None and config.platform.health_url is None:
        return Sampler("state", empty, None)
    side_by_side: SideBySide[Any] = SideBySide("state")

    def sample() -> Mapping[str, Reading]:
        values: dict[str, Any] = dict.fromkeys(names)
        failures: dict[str, SampleError] = {}
        outcomes = side_by_side.run(_tasks(config, database, statements))
        if counted := outcomes.get("counts"):
            numbers, failed = counted.value or ({}, dict.fromkeys(statements, counted.why_not()))
            values |= numbers
            failures |= failed
        if asked := outcomes.get("health"):
            if asked.value is None:
                failures |= dict.fromkeys(_FROM_HEALTH, asked.why_not())
            else:
                values |= _health_values(asked.value)
        return {"state": partial_reading(values, failures)}

    return Sampler("state", empty, sample)


def _tasks(
    config: Config, database: ObservedDatabase | None, statements: Mapping[str, str]
) -> dict[str, Task[Any]]:
    """Return what is read side by side, so that neither source costs the other its time."""
    tasks: dict[str, Task[Any]] = {}
    if statements and database is not None:
        limit_s = _SHARE_OF_DEADLINE * config.schedule.tick_deadline_s
        tasks["counts"] = Task(partial(count_each, database, statements), limit_s)
    if config.platform.health_url is not None:
        tasks["health"] = health_task(config.platform)
    return tasks


def _health_values(health: Health) -> dict[str, Any]:
    words = None if health.uptime_s is None else uptime_words(health.uptime_s)
    return {"uptime": words, "uptime_s": health.uptime_s, "version": health.version}
