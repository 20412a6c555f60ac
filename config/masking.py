"""Making a text fit for a log line or a terminal: no password and no token in a URL."""

import re

_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s/?#:@]*):[^\s/?#]*@", re.IGNORECASE)
_USER_TOKEN = re.compile(r"(?P<head>\bhttps?://)[^\s/?#:@]+@", re.IGNORECASE)
_QUERY = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s?#]*\?)[^\s#'\"]+", re.IGNORECASE)


def masked(text: str) -> str:
    """Return `text` with the user parts' secrets and the query strings of its URLs as `***`."""
    text = _PASSWORD.sub(r"\g<head>:***@", text)
    text = _USER_TOKEN.sub(r"\g<head>***@", text)
    return _QUERY.sub(r"\g<head>***", text)


def one_line(text: str) -> str:
    """Return `text` masked and on one line, as a log or a table wants it."""
    return " ".join(masked(text).split())
