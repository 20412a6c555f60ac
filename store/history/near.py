"""What may have been meant by the name of a number that has never been recorded."""

from collections.abc import Sequence
from difflib import get_close_matches

from store.history.asking import QueryError
from store.history.plain_text import printable

_MOST = 5


def naming_near(error: QueryError, asked: Sequence[str], known: Sequence[str]) -> QueryError:
    """Return `error` with which of `asked` is unknown, and what is near to it, if that is it."""
    if error.category != "unknown_metric":
        return error
    unknown = [name for name in asked if "*" not in name and name not in known] or list(asked)
    alike = near(unknown[0], known)
    told = f"{error.expected}: {unknown[0]}" + (f"; near: {', '.join(alike)}" if alike else "")
    return QueryError(error.parameter, printable(told, "utf-8"), error.category)


def near(asked: str, known: Sequence[str]) -> list[str]:
    """Return up to five of `known` that `asked` may have meant, the likeliest first.

    A misspelling is near to the name, and so is a part of it: `queued` to `queue.queued`.
    """
    plain = asked.replace("*", "").strip(". ").lower()
    parts = [path for path in known if plain and plain in path.lower()]
    alike = get_close_matches(asked, known, _MOST)
    return list(dict.fromkeys([*alike, *parts]))[:_MOST]
