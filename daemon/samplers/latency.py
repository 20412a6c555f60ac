"""Latency: percentiles of the last requests of each class, from recorders' rings and logs."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config import Config
from config.latency import Latency
from daemon.access_log.source import LogSource
from daemon.latency.collector import Collector
from daemon.latency.tally import OwnPaths, Tally
from daemon.latency.window import nothing_known
from daemon.observed import ObservedDatabase
from daemon.requests import RequestSource
from daemon.rings.following import RingFollower
from daemon.sampler import Sampler

#: opsnap's own pages are never user traffic, wherever the edge logs them.
_OWN_PAGES = ("/engineering", "/api/engineering")


def build(config: Config, _database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of every latency class, one section each."""
    latency = config.latency
    if latency is None:
        return Sampler("latency", {"latency": nothing_known(None)}, None)
    empty: dict[str, Any] = {rules.key: nothing_known(rules) for rules in latency.classes}
    sources = request_sources(latency)
    if not sources:
        return Sampler("latency", empty, None)
    collector = Collector(sources, Tally(latency.classes, own_paths(config)))
    return Sampler("latency", empty, collector.sample, collector)


def request_sources(latency: Latency) -> dict[str, RequestSource]:
    """Return everything that requests are read from, by names that stay over restarts."""
    logs = [Path(log.path) for log in latency.access_logs]
    sources: dict[str, RequestSource] = {
        f"log:{Path(log.path)}": LogSource(log, logs) for log in latency.access_logs
    }
    if latency.recorder_dir is not None:
        directory = Path(latency.recorder_dir)
        sources[f"rings:{directory}"] = RingFollower(directory)
    return sources


def own_paths(config: Config) -> OwnPaths:
    """Return the paths that opsnap itself causes requests to: its pages, the health URL."""
    prefix = config.web.url_prefix
    probed = config.platform.health_url
    return OwnPaths(
        pages={*_OWN_PAGES, *([prefix] if prefix else [])},
        probes={urlsplit(probed).path or "/"} if probed else set(),
    )
