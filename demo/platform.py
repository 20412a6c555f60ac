"""The platform's HTTP edge: feeds, videos, watch pings, admin work and health."""

import os
import random
import secrets
import sqlite3
import time
from pathlib import Path

from flask import Blueprint, Flask, current_app, g, jsonify, request
from flask.typing import ResponseReturnValue

from demo.filling import BUCKETS, CLICK_RATES, SURFACES, video_ids
from demo.tables import connect
from recorder import LatencyRecorder

VERSION = "1.2.0"
_FEED_LENGTH = 4
_VIDEOS = video_ids(2000)


routes = Blueprint("platform", __name__)


def create_app() -> Flask:
    """Return the application over the database that `DEMO_DATABASE` names.

    Its requests are recorded into rings in the directory that `DEMO_RECORDER_DIR` names.
    """
    app = Flask(__name__)
    recorded = LatencyRecorder(app.wsgi_app, os.environ["DEMO_RECORDER_DIR"])
    app.wsgi_app = recorded  # type: ignore[method-assign]
    app.config["DATABASE"] = Path(os.environ["DEMO_DATABASE"])
    app.config["STARTED"] = time.monotonic()
    app.register_blueprint(routes)
    app.teardown_appcontext(_close)
    return app


def _db() -> sqlite3.Connection:
    if "db" not in g:
        g.db = connect(current_app.config["DATABASE"])
    connection: sqlite3.Connection = g.db
    return connection


def _close(_error: BaseException | None) -> None:
    if "db" in g:
        g.db.close()


@routes.get("/health")
def health() -> ResponseReturnValue:
    """Tell version and uptime, as the platform's own health answer does."""
    uptime_s = int(time.monotonic() - current_app.config["STARTED"])
    return jsonify(ok=True, service="bottube", version=VERSION, uptime_s=uptime_s)


@routes.get("/")
def home() -> ResponseReturnValue:
    """Return the home page."""
    _work(0.004)
    return "<!doctype html><title>BoTTube</title><h1>BoTTube</h1>"


@routes.get("/api/feed")
def feed() -> ResponseReturnValue:
    """Return a few videos from a bucket, and note an impression of each."""
    bucket, visitor = random.choice(BUCKETS), f"visitor-{random.randint(1, 3000)}"
    surface, now_s = random.choice(SURFACES), time.time()
    shown = [
        (f"imp_{secrets.token_hex(6)}", visitor, surface, bucket, video, position, now_s)
        for position, video in enumerate(random.sample(_VIDEOS, _FEED_LENGTH))
    ]
    _db().executemany(
        "INSERT INTO feed_impressions (impression_id, visitor_id, surface, bucket, video_id,"
        " position, created_at) VALUES (?,?,?,?,?,?,?)",
        shown,
    )
    _work(0.006)
    rows = [{"impression": row[0], "video": row[4]} for row in shown]
    return jsonify(bucket=bucket, click_rate=CLICK_RATES[bucket], items=rows)


@routes.get("/watch/<video_id>")
def watch(video_id: str) -> ResponseReturnValue:
    """Return a video; `?imp=` says which impression was clicked."""
    _db().execute(
        "UPDATE feed_impressions SET clicked_at = ? WHERE impression_id = ? AND clicked_at = 0",
        (time.time(), request.args.get("imp", "")),
    )
    _work(0.009)
    return jsonify(video=video_id)


@routes.post("/api/feed/watch")
def watched() -> ResponseReturnValue:
    """Note for how long a clicked impression was watched."""
    told = request.get_json()
    _db().execute(
        "UPDATE feed_impressions SET watch_seconds = ? WHERE impression_id = ?",
        (float(told["seconds"]), str(told["impression"])),
    )
    return jsonify(ok=True)


@routes.get("/api/broken")
def broken() -> ResponseReturnValue:
    """Fail, as some requests do."""
    return jsonify(ok=False), 500


@routes.post("/admin/backfill")
def backfill() -> ResponseReturnValue:
    """Take as many seconds as `?seconds=` says, as a batch of encodes does."""
    time.sleep(min(float(request.args.get("seconds", "1")), 30))
    return jsonify(ok=True)


def _work(typical_s: float) -> None:
    """Take about as long as a request of this kind does, some much longer."""
    slow = 6 if random.random() < 0.03 else 1
    time.sleep(min(random.lognormvariate(0, 0.5) * typical_s * slow, 0.4))
