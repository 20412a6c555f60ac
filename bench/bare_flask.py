"""The peer of the newest JSON: one Flask route with a constant body, under our server's settings.

A process of its own: `python -m bench.bare_flask CONFIG BODY_FILE`.
"""

import sys
from pathlib import Path
from unittest.mock import patch

from flask import Flask, Response

from bench.rates import API
from opsnap import cli
from web import server


def bare_app(body: bytes) -> Flask:
    """Return an application whose one route answers with `body`."""
    app = Flask("bare", static_folder=None)

    @app.get(API)
    def constant() -> Response:
        return Response(body, content_type="application/json")

    return app


def main(config_path: str, body_path: Path) -> None:
    """Serve the bare application through `opsnap web` itself: every setting is the same."""
    app = bare_app(body_path.read_bytes())
    with patch.object(server, "create_app", lambda _config: app):
        cli(["--config", config_path, "web"])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
