"""Errors as answers: a category and, for a bad parameter, which one and what was expected."""

from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

_CATEGORIES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 500: "internal"}


class RequestError(Exception):
    """An answer that is an error. Its texts are public and repeat nothing of the request."""

    def __init__(self, status: int, category: str, detail: str | None = None) -> None:
        self.status, self.category, self.detail = status, category, detail
        super().__init__(category)


def register(app: Flask) -> None:
    """Make `app` answer every error in the one form."""
    app.register_error_handler(RequestError, _from_request_error)
    app.register_error_handler(HTTPException, _from_http_exception)
    app.register_error_handler(Exception, _from_exception)


def _from_request_error(error: RequestError) -> Response:
    return error_answer(error.status, error.category, error.detail)


def _from_http_exception(error: HTTPException) -> Response:
    status = error.code or 500
    if status < 400:  # noqa: PLR2004 - a redirect is no error
        return make_response(error.get_response())
    response = error_answer(status, _CATEGORIES.get(status, "http_error"))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _from_exception(error: Exception) -> Response:
    current_app.logger.error("a request failed in a way that is not foreseen", exc_info=error)
    return error_answer(500, "internal")


def error_answer(status: int, category: str, detail: str | None = None) -> Response:
    """Return the error as JSON, or as a page for a browser that asked for HTML."""
    body: dict[str, Any] = {"ok": False, "error": category}
    if detail is not None:
        body["detail"] = detail
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    if best == "text/html" and "/api/" not in request.path:
        html = render_template("error.html", status=status, category=category, detail=detail)
        response = make_response(html, status)
    else:
        response = make_response(jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"
    return response
