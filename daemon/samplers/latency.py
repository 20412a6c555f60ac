"""Latency: percentiles of the last requests of each class, from the edge's access logs."""

from typing import Any
from urllib.parse import urlsplit

from config import Config
from daemon.latency.collector import Collector
from daemon.latency.window import nothing_known
from daemon.observed import ObservedDatabase
from daemon.sampler import Sampler

#: opsnap's own pages are never user traffic, wherever the edge logs them.
_OWN_PAGES = ("/engineering", "/api/engineering")


def build(config: Config, _database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of every latency class, one section each."""
    latency = config.latency
    if latency is None:
        return Sampler("latency", {"latency": nothing_known(None)}, None)
    empty: dict[str, Any] = {rules.key: nothing_known(rules) for rules in latency.classes}
    if not latency.access_logs:
        return Sampler("latency", empty, None)
    collector = Collector(latency.access_logs, latency.classes, own_paths(config))
    return Sampler(
        "latency", empty, collector.sample, collector.cut_intervals, collector.restore_intervals
    )


def own_paths(config: Config) -> tuple[str, ...]:
    """Return the paths that opsnap itself causes requests to: its pages, the health URL."""
    pages = {prefix + path for prefix in ("", config.web.url_prefix) for path in _OWN_PAGES}
    if config.platform.health_url:
        pages.add(urlsplit(config.platform.health_url).path or "/")
    return tuple(sorted(pages))
