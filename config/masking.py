"""Making a text fit for a log line or a terminal: no password and no token in a URL.

Rather too much than too little is masked: SQLAlchemy takes passwords with `/`, `?` and `#` in
them, and user names with `@`, so that it cannot always be told where a URL's parts begin.
"""

import re

# What closes a quoted URL stays.
_END = r"(?P<end>['\")\],;]*)(?=\s|$)"
_PASSWORD = re.compile(rf"(?P<head>://[^\s/?#:]*):(?P<password>\S*)@(?P<rest>\S*?){_END}")
_USER_TOKEN = re.compile(r"(?P<head>\bhttps?://)[^\s/?#:]+@", re.IGNORECASE)
_QUERY = re.compile(rf"(?P<head>(?:://|\burl: /)[^\s?#]*[?#])\S+?{_END}")


def masked(text: str) -> str:
    """Return `text` with the secrets of its URLs as `***`: user parts, queries and fragments."""
    text = _PASSWORD.sub(_without_password, text)
    text = _USER_TOKEN.sub(r"\g<head>***@", text)
    return _QUERY.sub(r"\g<head>***\g<end>", text)


def _without_password(match: re.Match[str]) -> str:
    # It may be a port with a query that has an @ in it; what follows is then of the query.
    is_doubtful = re.search(r"[?#]", match["password"]) is not None
    rest = "***" if is_doubtful else match["rest"]
    return f"{match['head']}:***@{rest}{match['end']}"


def one_line(text: str) -> str:
    """Return `text` masked and on one line, as a log or a table wants it."""
    return " ".join(masked(text).split())
