"""Snapshot documents made by hand, and stores that hold them."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from store.codec import encode
from store.engines import open_writer
from store.intervals import LatencyInterval
from store.writing import Snapshot, commit

Document = dict[str, Any]

INTERVAL_MS = 30_000
#: 2026-11-20 10:13:30 UTC, on the grid of 30 s.
TAKEN_AT_MS = 1_795_169_610_000
SECTIONS = (
    "nodes",
    "latency",
    "latency_admin",
    "state",
    "queue",
    "outcomes",
    "experiments",
    "pipeline",
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def this_tick_ms(interval_ms: int = INTERVAL_MS) -> int:
    """Return the slot that the present belongs to."""
    now = now_ms()
    return now - now % interval_ms


def iso(at_ms: int) -> str:
    """Return `at_ms` as the contract writes times."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def small_document(taken_at_ms: int, **more: Any) -> Document:
    """Return the least that is a document: its head, and sections that are all off."""
    seconds = taken_at_ms // 1000
    return {
        "ok": True,
        "schema": 1,
        "source": "test",
        "interval_s": INTERVAL_MS // 1000,
        "taken_at": iso(taken_at_ms),
        "expires_at": iso(taken_at_ms + 3 * INTERVAL_MS),
        "generated_at": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S UTC}",
        "platform": {"name": "BoTTube", "region": "", "description": ""},
        "nodes": [],
        "latency": {},
        "state": {},
        "queue": {},
        "outcomes": {},
        "experiments": [],
        "pipeline": {},
        "sections": {},
        **more,
    }


def full_document(taken_at_ms: int = TAKEN_AT_MS, **more: Any) -> Document:
    """Return a document with every panel filled; no number of it occurs twice."""
    sampled_at = iso(taken_at_ms + 120)
    took_ms = dict(zip(SECTIONS, (43.1, 1.91, 1.92, 5.84, 3.85, 3.56, 1.67, 7.88), strict=True))
    return small_document(
        taken_at_ms,
        platform={
            "name": "BoTTube",
            "region": "liquidweb-us / lan-elyanlabs",
            "description": "Videos by agents.",
        },
        nodes=[
            _node("node-1", "LiquidWeb US", "ok", 41.2, (0.41, 9.83, 21.3, 10.4)),
            _node("node-2", "Hong Kong", "warn", 812.0, (1.52, 270.0, None, 540.0)),
            _node("node-3", "Texas", "err", None, None, "refused"),
        ],
        latency=_latency(
            "User API latency", (8.43, 25.1, 48.7, 61.2), (987, 13, 4), 1000, 212.0, 500.0, 5.02
        )
        | {
            "distribution": {
                "bounds_ms": [
                    *(2.371, 3.162, 4.217, 5.623, 7.499, 10.0, 13.34),
                    *(17.78, 23.71, 31.62, 42.17, 56.23, 74.99),
                ],
                "counts": [17, 72, 148, 187, 239, 156, 86, 25, 39, 0, 10, 8],
            },
            "slowest_routes": [
                {"route": "/api/videos/:id/comments", "count": 58, "p50": 19.7, "p95": 47.3},
                {"route": "/api/feed", "count": 311, "p50": 8.12, "p95": 24.6},
                {"route": "/watch/:id", "count": 405, "p50": 6.54, "p95": 16.8},
            ],
        },
        latency_admin=_latency(
            "Admin backfill latency",
            (51_200.0, 57_600.0, 58_900.0, 59_300.0),
            (176, 7, 2),
            200,
            18_600.0,
            60_000.0,
            96.0,
        )
        | {
            "distribution": {
                "bounds_ms": [31_620.0, 42_170.0, 56_230.0, 74_990.0],
                "counts": [29, 113, 34],
            },
            "slowest_routes": None,
        },
        state={
            "videos": 2001,
            "agents": 402,
            "humans": 103,
            "tips_confirmed": 139,
            "comments": 5006,
            "uptime": "3d 4h",
            "uptime_s": 274_000,
            "version": "1.2.0",
        },
        queue={
            "queued": 15,
            "running": 6,
            "completed_24h": 164,
            "failed_24h": 9,
            "depth": 21,
            "depth_label": "deep",
            "depth_percentile": 91.3,
            "oldest_queued_s": 845.0,
        },
        outcomes={
            "hybrid-v1": _outcome(69_930, 2942, 0.04207, 28.7),
            "latest": _outcome(70_123, 1111, 0.015844, 19.4),
        },
        experiments=[
            {"name": "thumb-ab:v0000123xx", "variants": 3, "impressions": 2273},
            {"name": "thumb-ab:v0000456yy", "variants": 5, "impressions": 1918},
        ],
        pipeline={
            "canonical_format": "8 s · 720×720 MP4",
            "renditions": 3017,
            "with_provenance": 1518,
            "anchored": 1019,
            "avg_encode_s": 74.2,
            "encode_jobs": 112,
        },
        sections={
            name: {
                "title": f"The panel of {name}",
                "status": "ok",
                "sampled_at": sampled_at,
                "took_ms": took_ms[name],
                "reason": None,
            }
            for name in SECTIONS
        },
        **more,
    )


def healthy_document() -> Document:
    """Return a full document of this tick without a node in trouble."""
    document = full_document(this_tick_ms())
    document["nodes"] = document["nodes"][:1]
    return document


def store(
    url: str,
    document: Document,
    *,
    source: str = "test",
    intervals: Mapping[str, LatencyInterval] | None = None,
) -> str:
    """Commit `document` to the store at `url`, and return the text that was given to it."""
    text = encode(document)
    store_text(url, text, taken_at_ms_of(document), source=source, intervals=intervals)
    return text


def store_text(
    url: str,
    text: str,
    taken_at_ms: int,
    *,
    source: str = "test",
    intervals: Mapping[str, LatencyInterval] | None = None,
) -> None:
    """Commit whatever `text` is as the document of a snapshot; one interval is 1 ms."""
    engine = open_writer(url)
    try:
        commit(engine, Snapshot(source, taken_at_ms, 1, text, intervals or {}))
    finally:
        engine.dispose()


def taken_at_ms_of(document: Document) -> int:
    return round(datetime.fromisoformat(document["taken_at"]).timestamp() * 1000)


def _node(
    name: str,
    location: str,
    status: str,
    rtt_ms: float | None,
    phases: tuple[float | None, ...] | None,
    reason: str | None = None,
) -> Document:
    names = ("dns", "connect", "tls", "first_byte")
    return {
        "id": name,
        "location": location,
        "status": status,
        "rtt_ms": rtt_ms,
        "reason": reason,
        "phases_ms": None if phases is None else dict(zip(names, phases, strict=True)),
    }


def _latency(
    title: str,
    percentiles_and_max: tuple[float, float, float, float],
    samples_errors_lost: tuple[int, int, int],
    window: int,
    oldest_s: float,
    ceiling_ms: float,
    p95_bar: float,
) -> Document:
    return {
        "title": title,
        **dict(zip(("p50", "p95", "p99", "max"), percentiles_and_max, strict=True)),
        **dict(zip(("samples", "errors", "lost"), samples_errors_lost, strict=True)),
        "clamped": 0,
        "unparsed": 0,
        "log_lines": 0,
        "window": window,
        "oldest_s": oldest_s,
        "ceiling_ms": ceiling_ms,
        "p95_bar": p95_bar,
    }


def _outcome(impressions: int, clicks: int, ctr: float, mean_watch_s: float | None) -> Document:
    return {
        "impressions": impressions,
        "clicks": clicks,
        "ctr": ctr,
        "mean_watch_s": mean_watch_s,
    }
