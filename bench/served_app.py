"""Our application for servers that import it: the configuration's path is in OPSNAP_CONFIG."""

import os

from flask import Flask

from config import load
from web.app import create_app


def create() -> Flask:
    """Return the application, as `opsnap web` makes it."""
    return create_app(load(os.environ["OPSNAP_CONFIG"]))
