"""The routes of the page and its document."""

from flask import Blueprint, Response, current_app, redirect, request, url_for
from werkzeug.wrappers import Response as WerkzeugResponse

from web import caching
from web.asking import the_record
from web.page import RenderedPages, page_identity

_HTML = "text/html; charset=utf-8"
_JSON = "application/json"

blueprint = Blueprint("views", __name__)


@blueprint.get("/")
def index() -> WerkzeugResponse:
    """Lead to the page."""
    return redirect(url_for("views.engineering"))


@blueprint.get("/engineering")
def engineering() -> Response:
    """Return the page of the newest snapshot, or of the one at `?at=`."""
    asked = the_record().asked_for(request)
    pages: RenderedPages = current_app.extensions["opsnap_pages"]
    identity = page_identity(asked, current_app.extensions["opsnap_build"])
    # The page tells its own age, so a cache has to ask before it shows it again.
    page = pages.render(asked, request.script_root)
    return caching.conditional(page, _HTML, identity, caching.REVALIDATE)


@blueprint.get("/api/engineering")
def api_engineering() -> Response:
    """Return the newest document, or the one at `?at=`, as it was stored."""
    asked = the_record().asked_for(request)
    snapshot = asked.snapshot
    return caching.conditional(snapshot.body, _JSON, snapshot.identity, asked.cache_control)
