"""What a supervisor asks: whether this process answers, and whether the record is in date."""

import time

from flask import Blueprint, Response

from web.asking import the_record
from web.errors import RequestError

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Return 200 while this process answers."""
    return _fine()


@blueprint.get("/readyz")
def readyz() -> Response:
    """Return 200 while the newest snapshot is in date, else 503."""
    newest = the_record().newest()
    if newest is None:
        raise RequestError(503, "no_snapshot")
    if newest.is_expired(time.time_ns() // 1_000_000):
        raise RequestError(503, "expired")
    return _fine()


def _fine() -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response('{"ok":true}\n', content_type="application/json", headers=headers)
