"""`[latency]`: which access logs are read, and which requests form which class."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from config.section import Section, Text

#: Formats that have a name; anything else has to be a regular expression with named groups.
NAMED_FORMATS = ("gunicorn", "nginx", "json")
_ROUTES_OF_USERS = 5
#: The groups of a custom regular expression that give a duration, one of which it needs.
DURATION_GROUPS = ("duration_s", "duration_ms", "duration_us")
#: All groups that a custom regular expression may name.
KNOWN_GROUPS = ("path", "status", "method", "time", *DURATION_GROUPS)


def _log_format(value: str) -> str:
    if value in NAMED_FORMATS:
        return value
    if "(?P<" not in value:
        msg = (
            f"expected one of {', '.join(NAMED_FORMATS)}, or a regular expression with named "
            "groups: path, one of duration_s, duration_ms, duration_us, and status, time if known"
        )
        raise ValueError(msg)
    try:
        groups = set(re.compile(value).groupindex)
    except re.error as error:
        msg = f"expected a valid regular expression ({error})"
        raise ValueError(msg) from None
    if "path" not in groups or len(groups & set(DURATION_GROUPS)) != 1:
        msg = "expected named groups path and exactly one of duration_s, duration_ms, duration_us"
        raise ValueError(msg)
    if unknown := groups - set(KNOWN_GROUPS):
        msg = f"expected groups among {', '.join(KNOWN_GROUPS)}, not {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    return value


def _path_prefix(value: str) -> str:
    if not value.startswith("/"):
        msg = 'expected a path prefix that starts with "/"'
        raise ValueError(msg)
    return value


def _class_key(value: str) -> str:
    if not re.fullmatch(r"latency(_[a-z0-9_]{1,40})?", value):
        msg = 'expected "latency" or "latency_" with small letters, digits and _'
        raise ValueError(msg)
    return value


PathPrefixes = Annotated[
    tuple[Annotated[str, AfterValidator(_path_prefix)], ...], Field(strict=False)
]


class AccessLog(Section):
    """`[[latency.access_logs]]`: one log file that the platform's HTTP edge writes."""

    path: Text = Field(description="the file; it may appear later and be rotated at any time")
    format: Annotated[str, AfterValidator(_log_format)] = Field(
        description='"gunicorn" (combined, then `%(D)s`), "nginx" (combined, then '
        '`$request_time`), "json" (nginx escape=json, Caddy), or a regular expression with named '
        "groups"
    )


class LatencyClass(Section):
    """`[[latency.classes]]`: requests that are counted together."""

    key: Annotated[str, AfterValidator(_class_key)] = Field(
        description='its key in the document: "latency" or "latency_…"'
    )
    title: Text = Field(description="the panel's heading")
    window: int = Field(
        1000, ge=1, le=100_000, description="how many of the last requests percentiles stand on"
    )
    ceiling_ms: float = Field(
        500, gt=0, le=3_600_000, description="what p95 is held against on the page"
    )
    include: PathPrefixes = Field((), description="path prefixes that belong; empty: all")
    exclude: PathPrefixes = Field((), description="path prefixes that do not belong")
    slowest_routes: int | None = Field(
        None,
        ge=0,
        le=50,
        description='how many of its slowest routes are shown; unset: 5 for "latency", none for '
        "other classes, whose paths may be nobody else's business",
    )

    @property
    def routes_shown(self) -> int:
        """How many of the slowest routes are shown."""
        if self.slowest_routes is not None:
            return self.slowest_routes
        return _ROUTES_OF_USERS if self.key == "latency" else 0


class Latency(Section):
    """`[latency]`: where request durations come from and how they are grouped."""

    recorder_dir: Text | None = Field(
        None,
        description="the directory that the platform's LatencyRecorder writes its rings into; may "
        "stand beside access logs of other applications, not of the same ones",
    )
    access_logs: Annotated[
        tuple[AccessLog, ...],
        Field(strict=False, description="the log files that requests are read from"),
    ] = ()
    classes: Annotated[
        tuple[LatencyClass, ...],
        Field(strict=False, min_length=1, description="how requests are grouped into panels"),
    ]
