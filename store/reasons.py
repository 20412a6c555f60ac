"""The closed list of public reasons: why a value is missing, without a word that is private.

Everything that fails is translated to one of these before it reaches a document, a page or a
header; the exception itself goes to the log. The text is what a visitor reads.
"""

from typing import Final

REASONS: Final[dict[str, str]] = {
    "timeout": "no answer in time",
    "refused": "connection refused",
    "reset": "connection cut off",
    "unreachable": "network unreachable",
    "dns": "name not resolved",
    "tls": "certificate not accepted",
    "http_status": "answered with an error status",
    "bad_response": "answer not understood",
    "denied": "access denied",
    "no_file": "file not there",
    "no_table": "table not there",
    "no_column": "column not there",
    "locked": "database locked",
    "unreadable": "cannot be read",
    "corrupt": "data damaged",
    "bad_query": "query not accepted",
    "bad_value": "value not usable",
    "unparsed": "log lines not understood",
    "no_samples": "nothing measured in the window",
    "not_configured": "not configured",
    "internal": "opsnap's own fault",
}
