"""The watched platform as a whole: its name, its HTTP edge, its nodes, its database."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from config.section import Key, Section, Text

_HIGHEST_PORT = 65535


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_possible = parts.port is None or 0 < parts.port <= _HIGHEST_PORT
    except ValueError:
        is_possible = False
    # urlsplit drops line ends and tabs in silence.
    is_possible = is_possible and url.isprintable() and " " not in url
    if not is_possible or parts.scheme not in ("http", "https") or not parts.hostname:
        msg = (
            "expected an http:// or https:// address with a host and, if it names a port, "
            f"one from 1 to {_HIGHEST_PORT}"
        )
        raise ValueError(msg)
    return url


def _database_url(url: str) -> str:
    try:
        parsed = make_url(url)
        dialect = parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        msg = "expected a SQLAlchemy database URL, such as sqlite:////srv/app/app.db"
        raise ValueError(msg) from error
    if dialect.is_async:
        msg = "expected a driver that is not asynchronous, such as postgresql+psycopg://"
        raise ValueError(msg)
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        msg = "expected a database file: sqlite:////absolute/path.db"
        raise ValueError(msg)
    return url


def _file(path: str) -> str:
    if not Path(path).is_file():
        msg = "expected a file that is there"
        raise ValueError(msg)
    return path


HttpUrl = Annotated[str, AfterValidator(_http_url)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]


class Platform(Section):
    """`[platform]`: what the page calls the watched platform, and where its health is asked."""

    name: Text = Field(description="the platform's name, as the page shows it")
    region: str = Field("", max_length=200, description="where it runs, for the page's foot")
    description: str = Field("", max_length=2000, description="one paragraph for the page's head")
    health_url: HttpUrl | None = Field(
        None,
        description='address that answers JSON with "version" and "uptime_s"; '
        "requests to its path are never counted as user traffic",
    )
    health_timeout_s: float = Field(
        2.0, gt=0, le=60, description="longest time for the health answer, name look-up included"
    )


class Observed(Section):
    """`[observed]`: the platform's own database, which opsnap only ever reads."""

    url: DatabaseUrl = Field(
        description="SQLAlchemy URL of the platform's database; always opened read-only"
    )
    query_timeout_s: float = Field(
        5.0, gt=0, le=300, description="longest time of one query; then it is interrupted"
    )
    times: Literal["epoch_s", "epoch_ms", "datetime"] = Field(
        "epoch_s",
        description="how its tables keep times: Unix seconds, Unix milliseconds, or date-time "
        "columns in UTC",
    )


class Node(Section):
    """`[[nodes]]`: one HTTP endpoint whose round-trip time is measured every tick."""

    id: Key = Field(description="short unique name, part of metric paths (`nodes.ID.rtt_ms`)")
    location: Text = Field(description="what the page says about the node")
    url: HttpUrl = Field(description="address probed with GET; never shown to a visitor")
    timeout_s: float = Field(
        2.0, gt=0, le=60, description="longest time of the whole probe, name look-up included"
    )
    warn_ms: float = Field(800, gt=0, description="round-trip time from which a node is `warn`")
    err_ms: float = Field(2500, gt=0, description="round-trip time from which a node is `err`")
    verify_tls: bool = Field(True, description="check the certificate against its authorities")
    ca_file: Annotated[str, AfterValidator(_file)] | None = Field(
        None, description="PEM file of authorities (or the one certificate) to trust instead"
    )

    @field_validator("err_ms")
    @classmethod
    def _err_is_above_warn(cls, err_ms: float, info: ValidationInfo) -> float:
        warn_ms = info.data.get("warn_ms")
        if warn_ms is not None and err_ms <= warn_ms:
            msg = f"expected more than warn_ms ({warn_ms:g})"
            raise ValueError(msg)
        return err_ms
