"""Asking the store for a page of history: what goes wrong becomes an answer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.masking import one_line
from store.history.asking import QueryError
from web.errors import RequestError

log = logging.getLogger("opsnap.web")

#: How SQLite and PostgreSQL say that a query took longer than the reader's limit.
_INTERRUPTED, _CANCELLED = "SQLITE_INTERRUPT", "57014"


@dataclass(frozen=True)
class History:
    """The past of one source, in the store of `engine`."""

    engine: Engine
    source: str

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open the store. Raises RequestError for questions without an answer, and for outages.

        A document or a histogram that cannot be understood is an outage of the store.
        """
        try:
            with self.engine.connect() as connection:
                yield connection
        except QueryError as error:
            raise _refusal(error) from None
        except SQLAlchemyError as error:
            log.warning("store: history could not be read: %s", one_line(str(error)))
            if _took_too_long(error):
                raise RequestError(503, "query_timeout") from None
            raise RequestError(503, "store_unavailable") from None
        except (ValueError, LookupError, TypeError) as error:
            log.warning("store: what it holds could not be understood", exc_info=error)
            raise RequestError(503, "store_unavailable") from None


def the_history() -> History:
    """Return the history that the current application serves."""
    history: History = current_app.extensions["opsnap_history"]
    return history


def _refusal(error: QueryError) -> RequestError:
    detail = f"{error.parameter}: {error.expected}"
    match error.category:
        case "too_many_points":
            return RequestError(400, "too_many_points", detail)
        case "too_fine":
            return RequestError(400, "too_fine", detail)
        case "unknown_metric":
            return RequestError(400, "unknown_metric", detail)
        case "unknown_class":
            return RequestError(400, "unknown_class", detail)
        case _:
            return RequestError(400, "bad_parameter", detail)


def _took_too_long(error: SQLAlchemyError) -> bool:
    original = getattr(error, "orig", None)
    name, state = getattr(original, "sqlite_errorname", ""), getattr(original, "sqlstate", "")
    return name == _INTERRUPTED or state == _CANCELLED
