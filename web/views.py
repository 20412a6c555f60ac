"""The routes of the page and its document."""

from flask import Blueprint, Response, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from web import caching
from web.asking import the_record
from web.moments import destination
from web.page import RenderedPages

_HTML = "text/html; charset=utf-8"
_JSON = "application/json"

blueprint = Blueprint("views", __name__)


@blueprint.get("/")
def index() -> WerkzeugResponse:
    """Lead to the page."""
    return redirect(url_for("views.engineering"))


@blueprint.get("/engineering")
def engineering() -> WerkzeugResponse:
    """Return the page of the newest snapshot, or of the one at `?at=`.

    `?before=` and `?after=` lead to the page of the snapshot before or after a time.
    """
    record = the_record()
    if request.query_string:
        elsewhere = destination(record, request)
        if elsewhere is not None:
            response = redirect(elsewhere)
            response.headers["Cache-Control"] = caching.REVALIDATE
            return response
    asked = record.asked_for(request)
    pages: RenderedPages = current_app.extensions["opsnap_pages"]
    page = pages.render(asked, request.script_root)
    # The page tells its own age, so a cache has to ask before it shows it again.
    return caching.conditional(page.body, _HTML, page.identity, caching.REVALIDATE)


@blueprint.get("/api/engineering")
def api_engineering() -> Response:
    """Return the newest document, or the one at `?at=`, as it was stored."""
    asked = the_record().asked_for(request)
    snapshot = asked.snapshot
    return caching.conditional(snapshot.body, _JSON, snapshot.identity, asked.cache_control)
