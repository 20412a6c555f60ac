"""Filling the platform's database with a plausible past, the same for the same seed."""

import random
import sqlite3
import string
import time
from collections.abc import Iterator

from demo.tables import SCHEMA

BUCKETS = ("latest", "heuristic", "hybrid-v1")
SURFACES = ("homepage_rail", "feed_api", "watch_upnext")
JOB_TYPES = ("video_render", "image_gen", "transcode")
#: Chance of a click by bucket.
CLICK_RATES = {"latest": 0.021, "heuristic": 0.033, "hybrid-v1": 0.042}
_WEEK_S = 7 * 86_400
_ALPHABET = string.ascii_letters + string.digits + "-_"
_TESTED_VIDEOS = 8


def video_ids(count: int) -> list[str]:
    """Return `count` video ids of 11 characters, always the same."""
    dice = random.Random(11)
    return ["".join(dice.choices(_ALPHABET, k=11)) for _ in range(count)]


def fill(
    connection: sqlite3.Connection,
    *,
    videos: int = 2000,
    impressions: int = 30_000,
    variant_events: int = 9000,
    seed: int = 1,
) -> None:
    """Create the tables and fill them with a week that ends now, in one transaction."""
    dice, now_s, ids = random.Random(seed), time.time(), video_ids(videos)
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    _fill_catalogue(connection, dice, ids, now_s)
    connection.executemany("INSERT INTO gpu_jobs VALUES (?,?,?,?,?,?,?,?)", _jobs(dice, now_s))
    connection.executemany(
        "INSERT INTO feed_impressions VALUES (?,?,?,?,?,?,?,?,?)",
        _impressions(dice, ids, impressions, now_s),
    )
    connection.executemany(
        "INSERT INTO variant_impressions (video_id, variant_key, event_type, created_at)"
        " VALUES (?,?,?,?)",
        _variant_events(dice, ids, variant_events, now_s),
    )
    connection.execute("COMMIT")


def _fill_catalogue(
    connection: sqlite3.Connection, dice: random.Random, ids: list[str], now_s: float
) -> None:
    connection.executemany(
        "INSERT INTO agents (name, is_human) VALUES (?, ?)",
        [(f"agent-{i}", int(i % 5 == 0)) for i in range(500)],
    )
    connection.executemany(
        "INSERT INTO videos (video_id, agent_id, created_at, is_removed) VALUES (?,?,?,?)",
        [
            (one, dice.randint(1, 500), now_s - dice.random() * 90 * 86_400, dice.choice(removed))
            for one in ids
            for removed in [(0, 0, 0, None, None, 0, 0, 0, 0, 1)]
        ],
    )
    connection.executemany(
        "INSERT INTO comments (video_id, created_at) VALUES (?, ?)",
        [(dice.choice(ids), now_s - dice.random() * _WEEK_S) for _ in range(5000)],
    )
    states = ("confirmed", "confirmed", "confirmed", None, "pending", "voided")
    connection.executemany(
        "INSERT INTO tips (amount, status) VALUES (?, ?)",
        [(round(dice.random() * 5, 2), dice.choice(states)) for _ in range(200)],
    )
    connection.executemany(
        "INSERT INTO video_renditions (video_id, label) VALUES (?, ?)",
        [(dice.choice(ids), label) for label in ("720p", "360p") for _ in range(1500)],
    )
    connection.executemany(
        "INSERT INTO video_provenance (video_id, anchor_tx_hash) VALUES (?, ?)",
        [(ids[i % len(ids)], f"{i:064x}" if i % 3 else "") for i in range(1500)],
    )


def _jobs(dice: random.Random, now_s: float) -> Iterator[tuple[object, ...]]:
    states = [*["completed"] * 164, *["failed"] * 9, *["pending"] * 9, *["claimed"] * 3]
    states += [*["running"] * 4, *["cancelled"] * 6]
    for number, status in enumerate(states):
        created = int(now_s - dice.uniform(60, 80_000))
        if status in ("pending", "claimed", "running"):
            created = int(now_s - dice.uniform(20, 1200))
        has_begun = status in ("completed", "failed", "running")
        claimed = None if status in ("pending", "cancelled") else created + 5
        started = created + 9 if has_begun else None
        ended = created + 9 + dice.randint(20, 140) if status in ("completed", "failed") else None
        minutes = (ended - created) / 60 if ended else None
        yield (
            f"job-{number:06d}",
            dice.choice(JOB_TYPES),
            status,
            created,
            claimed,
            started,
            ended,
            minutes,
        )


def _impressions(
    dice: random.Random, ids: list[str], count: int, now_s: float
) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        bucket = dice.choice(BUCKETS)
        created = now_s - _WEEK_S * 1.2 * (1 - number / count)
        is_click = dice.random() < CLICK_RATES[bucket]
        clicked = created + dice.uniform(1, 60) if is_click else 0
        watched = round(dice.expovariate(1 / 28), 1) if is_click and dice.random() < 0.9 else 0
        yield (
            f"imp_{number:012x}",
            f"visitor-{dice.randint(1, 3000)}",
            dice.choice(SURFACES),
            bucket,
            dice.choice(ids),
            dice.randint(0, 11),
            created,
            clicked,
            watched,
        )


def _variant_events(
    dice: random.Random, ids: list[str], count: int, now_s: float
) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        created = now_s - _WEEK_S * (1 - number / count)
        if dice.random() < 0.5:
            key, event, video = f"feed:{dice.choice(BUCKETS)}", "feed_impression", dice.choice(ids)
        else:
            place = min(int(dice.expovariate(0.4)), _TESTED_VIDEOS - 1)
            key, video = dice.choice("ABC" if place % 3 == 0 else "AB"), ids[place]
            event = "click" if dice.random() < 0.04 else "impression"
        yield video, key, event, created
