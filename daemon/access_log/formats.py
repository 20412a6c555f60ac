r"""Understanding one line of an access log, in the formats that have a name and in custom ones.

`gunicorn`: its default access format followed by `%(D)s`, the duration in microseconds.
`nginx`: the format `combined` followed by `$request_time`, seconds with milliseconds.
`json`: one object a line, as nginx writes it with `escape=json` or Caddy writes it.
Anything else: a regular expression with the named groups that `config.latency` lists.

In the named text formats the duration has to follow a closing quote, so that nothing that a
visitor can put into a header is ever taken for a duration.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from daemon.requests import Request
from store.times import parse_iso_ms

#: Takes a line without its end; returns None when it is not understood.
Parser = Callable[[str], Request | None]

# What a visitor sends stands between quotes, and edges escape the quotes in it: gunicorn with a
# backslash (and escapes nothing else, not even a backslash), nginx as \x22. The user name stands
# before them without quotes, so the time is what the last bracket before the first quote opens.
# Possessive repeats: nothing is read in a second way when the first does not fit.
_REQUEST_LINE = re.compile(
    r'(?P<method>[^\s"\\]{1,64}+) (?P<path>(?:[^\s"\\]|\\"?+)++)(?:[^"\\]|\\"?+)*+" '
    r"(?P<status>\d{3}) "
)
_DURATIONS = {
    "gunicorn": re.compile(r"(?P<duration_us>\d{1,15})"),
    "nginx": re.compile(r"(?P<duration_s>\d{1,9}\.\d{3})"),
}
_MICROSECONDS_IN = {"duration_s": 1_000_000, "duration_ms": 1000, "duration_us": 1}
_LONGEST_DURATION_US = 10**15
#: The year 10000, in epoch seconds.
_LATEST_S = 253_402_300_800


def parser(log_format: str) -> Parser:
    """Return the parser of a named format, or of a regular expression with named groups."""
    if log_format == "json":
        return _parse_json
    if log_format in _DURATIONS:
        return _combined_then(_DURATIONS[log_format])
    return _by_expression(log_format)


def _combined_then(duration: re.Pattern[str]) -> Parser:
    """Return the parser of the combined format with a duration after its last quote."""
    (group,) = duration.groupindex
    factor = _MICROSECONDS_IN[group]

    def parse(line: str) -> Request | None:
        told, quote, told_duration = line.rpartition('" ')
        match = duration.fullmatch(told_duration)
        time_ends = told.find('] "')
        time_begins = told.rfind("[", 0, max(time_ends, 0))
        if not quote or match is None or time_begins < 0:
            return None
        request = _REQUEST_LINE.match(told, time_ends + 3)
        if request is None:
            return None
        try:
            return Request(
                _time_ms(told[time_begins + 1 : time_ends]),
                _microseconds(match[group], factor),
                int(request["status"]),
                _bare_path(request["path"]),
            )
        except (ValueError, OverflowError):
            return None

    return parse


def _by_expression(expression: str) -> Parser:
    compiled = re.compile(expression)
    groups = compiled.groupindex
    (duration_group,) = groups.keys() & _MICROSECONDS_IN.keys()
    factor = _MICROSECONDS_IN[duration_group]
    duration_at, path_at = groups[duration_group], groups["path"]
    status_at, time_at = groups.get("status"), groups.get("time")

    def parse(line: str) -> Request | None:
        match = compiled.fullmatch(line)
        if match is None:
            return None
        try:
            return Request(
                None if time_at is None else _time_ms(match[time_at]),
                _microseconds(match[duration_at], factor),
                0 if status_at is None else int(match[status_at]),
                _bare_path(match[path_at]),
            )
        except (ValueError, TypeError, OverflowError):
            return None

    return parse


def _microseconds(told: Any, factor: int) -> int:
    """Return a duration in whole microseconds. Raises ValueError for what is not one."""
    if isinstance(told, bool) or told is None:
        msg = "not a duration"
        raise ValueError(msg)
    duration_us = int(told) if factor == 1 and isinstance(told, str) else float(told) * factor
    if not math.isfinite(duration_us) or not 0 <= duration_us <= _LONGEST_DURATION_US:
        msg = "not a duration"
        raise ValueError(msg)
    return round(duration_us)


def _bare_path(target: str) -> str:
    """Return the path of a request target, without query string, scheme and host."""
    if not target.startswith("/") and "://" in target:
        _, _, rest = target.partition("://")
        _, slash, tail = rest.partition("/")
        target = slash + tail or "/"
    return target.partition("?")[0]


# A log's lines come in the order of time: thousands share a second, so few are ever parsed.
@lru_cache(maxsize=256)
def _time_ms(told: str) -> int:
    """Return a log's time as Unix milliseconds: common log format, ISO 8601 or epoch seconds."""
    if told[2:3] == "/":
        return round(datetime.strptime(told, "%d/%b/%Y:%H:%M:%S %z").timestamp() * 1000)
    if told[4:5] == "-":
        return parse_iso_ms(told)
    return _epoch_ms(told)


def _epoch_ms(told: str | float) -> int:
    """Return epoch seconds as milliseconds. Raises ValueError, OverflowError for other things."""
    seconds = float(told)
    if not 0 <= seconds < _LATEST_S:
        msg = "not a time"
        raise ValueError(msg)
    return round(seconds * 1000)


def _parse_json(line: str) -> Request | None:
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            return None
        inner = record.get("request")
        inner = inner if isinstance(inner, dict) else {}
        target = _first(record, "path", "uri", "request_uri") or inner.get("uri")
        if target is None and isinstance(record.get("request"), str):
            target = record["request"].split(" ")[1]  # nginx's $request: method, target, protocol
        if not isinstance(target, str):
            return None
        told_time = _first(record, "ts", "msec", "time", "time_iso8601", "time_local", "timestamp")
        return Request(
            None if told_time is None else _json_time_ms(told_time),
            _json_duration_us(record),
            int(_first(record, "status", "status_code") or 0),
            _bare_path(target),
        )
    except (ValueError, TypeError, OverflowError, IndexError, RecursionError):
        return None


def _json_time_ms(told: Any) -> int:
    return _time_ms(told) if isinstance(told, str) else _epoch_ms(told)


def _json_duration_us(record: Mapping[str, Any]) -> int:
    """Return the duration by its key: nginx's and Caddy's are in seconds, others name the unit."""
    for key, factor in (
        ("request_time", 1_000_000),
        ("duration", 1_000_000),
        ("duration_s", 1_000_000),
        ("duration_ms", 1000),
        ("duration_us", 1),
    ):
        if key in record:
            return _microseconds(record[key], factor)
    msg = "no duration"
    raise ValueError(msg)


def _first(record: Mapping[str, Any], *keys: str) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)
