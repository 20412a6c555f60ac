"""The web app over a real store, asked as a visitor asks it, without a socket between."""

import weakref
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from tests.support.configuring import bottube_tree, load_tree
from tests.support.documents import Document, store
from tests.support.markup import Element, parse
from web.app import create_app

#: What a browser says that it would like.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def visitor_of(url: str, directory: Path, **web: Any) -> FlaskClient:
    """Return a client of the app that `opsnap web` would serve over the store at `url`."""
    tree = bottube_tree(store_url=url, observed_url=f"sqlite:///{directory}/not-there.db")
    tree["web"] |= web
    app = create_app(load_tree(directory / "opsnap.toml", tree))
    # As in production: what is not foreseen is an answer, not an exception in the test.
    app.config["PROPAGATE_EXCEPTIONS"] = False
    client = app.test_client()
    # A served app ends with its process; here its connections end with the last visitor.
    weakref.finalize(client, app.extensions["opsnap_record"]._engine.dispose)
    return client


def page_of(document: Document, url: str, directory: Path) -> Element:
    """Store `document` in the store at `url`, and return the page that visitors get then."""
    store(url, document)
    answer = visitor_of(url, directory).get("/engineering")
    assert answer.status_code == 200, answer.status
    return parse(answer.text)
