"""The smallest Flask application, with the recorder and without it, for a server that imports it.

One process serves both, each under its path, so that between the two nothing else differs: two
processes of the same program are one faster than the other by some percent, by where in memory
things happen to lie. `OPSNAP_BENCH_RINGS` is the directory of the recorder's rings.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from recorder import LatencyRecorder

RECORDED, PLAIN = "/recorded", "/plainone"


def create() -> Callable[..., Iterable[bytes]]:
    """Return the two applications, wired as the recorder's documentation shows."""
    recorded, plain = _hello(RECORDED), _hello(PLAIN)
    rings = os.environ["OPSNAP_BENCH_RINGS"]
    recorded.wsgi_app = LatencyRecorder(recorded.wsgi_app, rings)  # type: ignore[method-assign]
    apps: dict[str, Flask] = {RECORDED: recorded, PLAIN: plain}

    def one_of_both(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return apps[environ["PATH_INFO"]](environ, start_response)

    return one_of_both


def _hello(path: str) -> Flask:
    app = Flask("hello", static_folder=None)
    app.add_url_rule(path, "hello", lambda: "Hello, World!")
    return app
