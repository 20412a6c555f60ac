"""Static files by addresses that change with their content, and what build of the page this is."""

import hashlib
from functools import partial
from pathlib import Path

from flask import Flask, url_for


def register(app: Flask) -> None:
    """Give templates `asset(name)`, and the app `extensions["opsnap_build"]`.

    The build is a digest of templates and static files: with another build the same snapshot
    makes another page, which an ETag has to tell apart.
    """
    build = _digest([Path(app.root_path) / "templates", Path(app.root_path) / "static"])
    app.extensions["opsnap_build"] = build
    app.jinja_env.globals["asset"] = partial(_asset_url, build)


def _asset_url(build: str, name: str) -> str:
    return url_for("static", filename=name, v=build)


def _digest(directories: list[Path]) -> str:
    digest = hashlib.sha256()
    for directory in directories:
        for path in sorted(directory.iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:10]
