"""What the collector knows, as bytes to be stored with the snapshot: zlib-compressed JSON.

No path of a request is in it: only the routes, which the page shows too.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from daemon.latency.routes import fold
from daemon.latency.window import Window
from daemon.requests import LogLines, Loss, Request
from store.intervals import LatencyInterval
from store.revision import SchemaError

_VERSION = 1


@dataclass(frozen=True)
class WindowState:
    """A window's contents, and the rules by which they were chosen."""

    rules: str
    requests: list[Request]
    losses: list[Loss]
    lines: list[LogLines]

    @classmethod
    def of(cls, window: Window) -> "WindowState":
        """Return a copy of what stands in `window`."""
        return cls(rules_of(window), list(window.requests), list(window.losses), list(window.lines))


@dataclass(frozen=True)
class State:
    """Positions by source, and windows and unstored intervals by class.

    `intervals` have the columns of what was counted since the last snapshot.
    """

    positions: Mapping[str, Any] = field(default_factory=dict)
    windows: Mapping[str, WindowState] = field(default_factory=dict)
    intervals: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def rules_of(window: Window) -> str:
    """Return the rules that decide which requests are in a window, as a text to compare."""
    return json.dumps([window.rules.include, window.rules.exclude])


def encode(state: State) -> bytes:
    """Return `state` as bytes."""
    return zlib.compress(
        json.dumps(
            {
                "version": _VERSION,
                "positions": state.positions,
                "windows": {key: _window_json(one) for key, one in state.windows.items()},
                "intervals": {
                    key: {**one, "histogram": base64.b64encode(one["histogram"]).decode()}
                    for key, one in state.intervals.items()
                },
            },
            separators=(",", ":"),
        ).encode()
    )


def decode(stored: bytes) -> State:
    """Return the state of `stored` bytes. Raises SchemaError for another version's, or damage."""
    try:
        data = json.loads(zlib.decompress(stored))
        version = data["version"]
        if version == _VERSION:
            return State(
                data["positions"],
                {key: _window_of_json(one) for key, one in data["windows"].items()},
                {
                    key: {**one, "histogram": base64.b64decode(one["histogram"])}
                    for key, one in data["intervals"].items()
                },
            )
    except (zlib.error, ValueError, KeyError, TypeError, IndexError) as error:
        msg = f"the latency state in the store is damaged ({error!r})"
        raise SchemaError(msg) from error
    msg = f"the latency state in the store has version {version}, expected {_VERSION}"
    raise SchemaError(msg)


def intervals_of(state: State) -> dict[str, LatencyInterval]:
    """Return the intervals of `state`."""
    return {key: LatencyInterval.of_columns(one) for key, one in state.intervals.items()}


def _window_json(window: WindowState) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    routes = [numbers.setdefault(fold(one.path), len(numbers)) for one in window.requests]
    return {
        "rules": window.rules,
        "ended_at": [one.ended_at_ms for one in window.requests],
        "duration_us": [one.duration_us for one in window.requests],
        "status": [one.status for one in window.requests],
        "route": routes,
        "routes": list(numbers),
        "losses": window.losses,
        "lines": window.lines,
    }


def _window_of_json(data: dict[str, Any]) -> WindowState:
    routes = data["routes"]
    columns = (data[name] for name in ("ended_at", "duration_us", "status", "route"))
    return WindowState(
        data["rules"],
        [Request(at, us, status, routes[n]) for at, us, status, n in zip(*columns, strict=True)],
        [Loss(*one) for one in data["losses"]],
        [LogLines(*one) for one in data["lines"]],
    )
