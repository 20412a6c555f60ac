"""The application factory."""

from typing import Any

from flask import Flask
from werkzeug.datastructures import ImmutableDict
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Config
from store.engines import open_reader
from web import assets, errors, formatting, health, histogram_figure, history, views
from web.asking import Record
from web.history_reading import History
from web.page import RenderedPages
from web.retrospect import Retrospects
from web.security import with_security_headers

_STATIC_MAX_AGE_S = 3600


class _ReadOnlyFlask(Flask):
    """Flask that answers no OPTIONS by itself: there is nothing here but to read."""

    default_config = ImmutableDict({**Flask.default_config, "PROVIDE_AUTOMATIC_OPTIONS": False})


def create_app(config: Config) -> Flask:
    """Return the application for `config`. Opens nothing before the first request."""
    prefix = config.web.url_prefix
    app = _ReadOnlyFlask(__name__, static_url_path=f"{prefix}/static")
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _STATIC_MAX_AGE_S
    reader = open_reader(config.store.url, config.web.query_limit_s)
    app.extensions["opsnap_record"] = Record(reader, config.store.source)
    app.extensions["opsnap_history"] = History(reader, config.store.source)
    pages = RenderedPages(Retrospects(reader, config.store.source))
    app.extensions["opsnap_pages"] = pages
    assets.register(app)
    formatting.register(app)
    histogram_figure.register(app)
    errors.register(app)
    for blueprint in (views.blueprint, *history.BLUEPRINTS):
        app.register_blueprint(blueprint, url_prefix=prefix or None)
    app.register_blueprint(health.blueprint)
    wsgi_app: Any = with_security_headers(app.wsgi_app)
    if config.web.trusted_proxies:
        hops = config.web.trusted_proxies
        wsgi_app = ProxyFix(wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)
    app.wsgi_app = wsgi_app  # type: ignore[method-assign]
    return app
