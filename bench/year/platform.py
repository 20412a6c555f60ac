"""What there was to measure at a moment: the values of each section, as its sampler gives them."""

from functools import lru_cache
from typing import Any

from bench.year.happenings import Timeline
from bench.year.noise import Noise
from bench.year.rhythm import busyness, counted, growth
from config import Config
from config.platform import Node
from daemon.samplers.health import uptime_words
from daemon.samplers.queue import depth_label
from store.times import DAY_MS, HOUR_MS, MINUTE_MS

Values = Any

#: Round trips in milliseconds, and by how much they swing; the last is now and then too slow.
_ROUND_TRIPS = ((34.0, 12.0), (38.0, 14.0), (61.0, 25.0), (440.0, 520.0))
#: Counters of the platform: how many at the begin of 2025, and how many more a day.
_STATE = {
    "videos": (240.0, 3.1),
    "agents": (60.0, 0.6),
    "humans": (12.0, 0.16),
    "tips_confirmed": (5.0, 0.24),
    "comments": (400.0, 8.3),
}
_PIPELINE = {"renditions": (500.0, 6.2), "with_provenance": (90.0, 2.4), "anchored": (40.0, 1.6)}
#: Feed buckets: impressions a week at the begin, and clicks a thousand.
_BUCKETS = {"hybrid-v1": (41_000, 42.0), "heuristic": (40_300, 33.0), "latest": (39_900, 17.0)}
_EXPERIMENTS = 5
#: An experiment lasts so long; they begin one after the other.
_EXPERIMENT_MS = 35 * DAY_MS
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Platform:
    """BoTTube at any moment (Unix ms), by a seed."""

    def __init__(self, config: Config, seed: int) -> None:
        self._nodes = config.nodes
        self._canonical_format = config.pipeline.canonical_format if config.pipeline else None
        self.noise, self.timeline = Noise(seed), Timeline(seed)
        self._video = lru_cache(maxsize=64)(self._draw_video)

    def nodes(self, at_ms: int, down: dict[str, str]) -> Values:
        """Return the entries of all nodes; `down` has the reason of those that do not answer."""
        return [
            self._node(node, number, at_ms, down.get(node.id))
            for number, node in enumerate(self._nodes)
        ]

    def state(self, at_ms: int) -> Values:
        """Return the platform's counters, and for how long it has been up."""
        restarted_ms = self.timeline.last_restart_ms(at_ms)
        uptime_s = (at_ms - restarted_ms) // 1000
        counts = {name: counted(at_ms, *rule) for name, rule in _STATE.items()}
        # Every tenth restart brings a version.
        version = f"1.{restarted_ms // (28 * DAY_MS) - 710}.0"
        return {
            **counts,
            "uptime": uptime_words(uptime_s),
            "uptime_s": uptime_s,
            "version": version,
        }

    def queue(self, at_ms: int) -> Values:
        """Return the generation queue."""
        noise, busy = self.noise, busyness(at_ms)
        # Now and then a wave of jobs, on top of what a busy hour brings.
        wave = noise.smooth("queue wave", at_ms / (3 * HOUR_MS)) ** 6 * 45
        waiting = busy * 6 * noise.smooth("queue", at_ms / (4 * MINUTE_MS)) + wave
        queued, running = int(waiting), min(4, int(waiting + noise.at("queue", at_ms) * 2))
        ended = counted(at_ms, 0, 150) - counted(at_ms - DAY_MS, 0, 150)
        completed = int(ended * growth(at_ms) * (0.85 + 0.3 * noise.smooth("jobs", at_ms / DAY_MS)))
        depth = queued + running
        return {
            "queued": queued,
            "running": running,
            "completed_24h": completed,
            "failed_24h": int(completed * 0.1 * noise.smooth("failed", at_ms / DAY_MS)),
            "depth": depth,
            "depth_label": depth_label(depth),
            "depth_percentile": round(100 * depth / (depth + 4), 1),
            "oldest_queued_s": queued and round(queued * (9 + 8 * noise.at("oldest", at_ms)), 1),
        }

    def outcomes(self, at_ms: int) -> Values:
        """Return the feed buckets over seven days."""
        return {name: self._outcome(name, at_ms) for name in _BUCKETS}

    def experiments(self, at_ms: int) -> Values:
        """Return the running experiments, the one with most impressions first."""
        running = [self._experiment(slot, at_ms) for slot in range(_EXPERIMENTS)]
        return sorted(running, key=lambda one: (-one["impressions"], one["name"]))

    def pipeline(self, at_ms: int) -> Values:
        """Return the counters of the media pipeline and how long encodes take."""
        slow = self.noise.smooth("encode", at_ms / (6 * HOUR_MS))
        jobs = counted(at_ms, 0, 70) - counted(at_ms - DAY_MS, 0, 70)
        return {
            "canonical_format": self._canonical_format,
            **{name: counted(at_ms, *rule) for name, rule in _PIPELINE.items()},
            # A mean over a day moves only when a job ends.
            "avg_encode_s": round(60 + 25 * slow, 2),
            "encode_jobs": int(jobs * growth(at_ms)),
        }

    def _node(self, node: Node, number: int, at_ms: int, reason: str | None) -> Values:
        entry = {"id": node.id, "location": node.location}
        if reason is not None:
            nothing = {"rtt_ms": None, "reason": reason, "phases_ms": None}
            return {**entry, "status": "err", **nothing}
        noise, name = self.noise, node.id
        least_ms, swing_ms = _ROUND_TRIPS[number % len(_ROUND_TRIPS)]
        # Slow for an hour now and then, and a little different each time.
        way = noise.smooth(name, at_ms / HOUR_MS) ** 8
        rtt_ms = least_ms + swing_ms * (way + 0.04 * noise.at(name, at_ms))
        has_tls = node.url.startswith("https:")
        phases = {
            "dns": 0.2 + noise.at(f"{name} dns", at_ms),
            "connect": rtt_ms * (0.22 if has_tls else 0.45),
            "tls": rtt_ms * 0.44 if has_tls else 0.0,
        }
        rounded = {part: round(ms, 2) for part, ms in phases.items()}
        rtt_ms = round(rtt_ms, 2)
        first_byte = round(rtt_ms - sum(rounded.values()), 2)
        status = "err" if rtt_ms >= node.err_ms else "warn" if rtt_ms >= node.warn_ms else "ok"
        return {
            **entry,
            "status": status,
            "rtt_ms": rtt_ms,
            "reason": None,
            "phases_ms": {
                **rounded,
                "tls": rounded["tls"] if has_tls else None,
                "first_byte": first_byte,
            },
        }

    def _outcome(self, name: str, at_ms: int) -> Values:
        a_week, clicks_in_1000 = _BUCKETS[name]
        part = counted(at_ms, 0, a_week / 7) - counted(at_ms - 7 * DAY_MS, 0, a_week / 7)
        impressions = int(part * growth(at_ms))
        share = clicks_in_1000 / 1000 * (0.9 + 0.2 * self.noise.smooth(name, at_ms / (2 * DAY_MS)))
        clicks = int(impressions * share)
        watched_s = 24 + 9 * self.noise.smooth(f"{name} watched", at_ms / DAY_MS)
        return {
            "impressions": impressions,
            "clicks": clicks,
            "ctr": round(clicks / impressions, 6),
            # A mean over clicked impressions moves only when there is a click.
            "mean_watch_s": round(watched_s + clicks % 97 / 500, 3),
        }

    def _experiment(self, slot: int, at_ms: int) -> Values:
        since_ms = at_ms + slot * _EXPERIMENT_MS // _EXPERIMENTS
        run, age_ms = divmod(since_ms, _EXPERIMENT_MS)
        name = f"experiment {slot}"
        a_day = (90 + 260 * self.noise.at(name, run)) * growth(at_ms)
        begin_ms = at_ms - min(age_ms, 7 * DAY_MS)
        return {
            "name": f"thumb-ab:{self._video(slot, run)}",
            "variants": 2 + int(self.noise.at(f"{name} variants", run) > 0.6),
            "impressions": counted(at_ms, 0, a_day) - counted(begin_ms, 0, a_day),
        }

    def _draw_video(self, slot: int, run: int) -> str:
        places = [self.noise.at(f"video {slot} {place}", run) for place in range(11)]
        return "".join(_LETTERS[int(len(_LETTERS) * place)] for place in places)
