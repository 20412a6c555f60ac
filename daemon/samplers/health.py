"""The platform's own health answer: its version and how long it has been up."""

import json
import math
from dataclasses import dataclass
from typing import Any

from config.platform import Platform
from daemon.failures import SampleError
from daemon.http_probe import Answer, Probe
from daemon.side_by_side import Task

_LONGEST_VERSION = 64
_OK = 200


@dataclass(frozen=True)
class Health:
    """What the health answer says; None where it does not say it in a usable form."""

    version: str | None
    uptime_s: int | None


def health_task(platform: Platform) -> Task[Health]:
    """Return the task of asking `health_url`, bounded however its server behaves.

    It fails with SampleError without a JSON object in an answer of status 200.
    """
    probe = Probe(platform.health_url or "", timeout_s=platform.health_timeout_s)
    return Task(lambda: _health(probe.run()), platform.health_timeout_s, probe.give_up)


def _health(answer: Answer) -> Health:
    if answer.status != _OK:
        raise SampleError("http_status", f"the health URL answered {answer.status}")
    try:
        told = json.loads(answer.body)
    except ValueError as error:
        raise SampleError("bad_response", f"the health answer is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise SampleError("bad_response", "the health answer is not a JSON object")
    return Health(_version(told.get("version")), _seconds(told.get("uptime_s")))


def _version(told: Any) -> str | None:
    return told if isinstance(told, str) and 0 < len(told) <= _LONGEST_VERSION else None


def _seconds(told: Any) -> int | None:
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return int(told) if is_number and math.isfinite(told) and told >= 0 else None


def uptime_words(uptime_s: int) -> str:
    """Return a duration in its two largest units: `3d 4h`, `4h 12m`, `12m 5s`, `5s`."""
    days, rest = divmod(uptime_s, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds}s" if minutes else f"{seconds}s"
