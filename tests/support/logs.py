"""Collecting a log's requests as the daemon does, and what came of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.latency import AccessLog, LatencyClass
from daemon.access_log.source import LogSource
from daemon.latency.collector import Collector
from daemon.latency.tally import OwnPaths, Tally

USERS, ADMIN = "latency", "latency_admin"
OWN_PATHS = OwnPaths(pages=("/api/engineering", "/engineering"), probes=("/health",))


def collecting(*logs: Path, log_format: str = "gunicorn", window: int = 1000) -> Collector:
    """Return a collector of `logs` with BoTTube's two classes."""
    rules = [
        LatencyClass(key=USERS, title="users", window=window, exclude=("/admin/", "/static/")),
        LatencyClass(key=ADMIN, title="admin", window=window, include=("/admin/",)),
    ]
    sources = {str(log): LogSource(AccessLog(path=str(log), format=log_format)) for log in logs}
    return Collector(sources, Tally(rules, OWN_PATHS))


def windows(collector: Collector) -> Mapping[str, dict[str, Any]]:
    """Read what is new and return each class's entry of the document."""
    return {key: reading.values for key, reading in collector.sample().items()}


def samples(collector: Collector) -> int:
    """Read what is new and return how many requests stand in the users' window."""
    count: int = windows(collector)[USERS]["samples"]
    return count


def interval_counts(collector: Collector) -> dict[str, int]:
    """Cut the intervals and return how many requests each had."""
    return {key: one.histogram.count for key, one in collector.cut().intervals.items()}


def append(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write("".join(lines))
