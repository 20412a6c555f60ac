"""opsnap itself: where it keeps its record, when it ticks, where it serves."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy.engine import make_url

from config.platform import DatabaseUrl
from config.section import Key, Section, Text


def _store_url(url: str) -> str:
    if make_url(url).get_backend_name() not in ("sqlite", "postgresql"):
        msg = "expected sqlite:////absolute/path.db or postgresql+psycopg://…, nothing else"
        raise ValueError(msg)
    return url


class Store(Section):
    """`[store]`: opsnap's own database."""

    url: Annotated[DatabaseUrl, AfterValidator(_store_url)] = Field(
        description="SQLAlchemy URL: sqlite:////var/lib/opsnap/opsnap.db or postgresql+psycopg://…"
    )
    source: Key = Field(description="this daemon's name; several may share one store")


class Schedule(Section):
    """`[schedule]`: when ticks happen and how long one may take."""

    interval_s: int = Field(
        30, ge=1, le=3600, description="seconds between ticks, aligned to the wall clock in UTC"
    )
    deadline_s: float | None = Field(
        None,
        gt=0,
        description="seconds after which a tick commits what has arrived; "
        "by default a third of the interval, at most 10",
    )

    @property
    def tick_deadline_s(self) -> float:
        """Seconds that the samplers of one tick have."""
        return min(10.0, self.interval_s / 3) if self.deadline_s is None else self.deadline_s


class Titles(Section):
    """`[titles]`: the headings of the panels; a latency class has its own `title`."""

    nodes: Text = Field("Nodes", description="heading of the nodes")
    state: Text = Field("Platform state", description="heading of the counters")
    queue: Text = Field("Queue", description="heading of the queue")
    outcomes: Text = Field("Outcomes by bucket", description="heading of the outcomes")
    experiments: Text = Field("Experiments", description="heading of the experiments")
    pipeline: Text = Field("Media pipeline", description="heading of the pipeline")


def _url_prefix(value: str) -> str:
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", value):
        msg = 'expected "" or a path such as "/ops", without a "/" at its end'
        raise ValueError(msg)
    return value


class Web(Section):
    """`[web]`: where the page is served."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8098, ge=0, le=65535, description="port to listen on; 0: any free one")
    url_prefix: Annotated[str, AfterValidator(_url_prefix)] = Field(
        "", description='path under which a reverse proxy hands requests on unchanged, as "/ops"'
    )
    trusted_proxies: int = Field(
        0, ge=0, le=5, description="how many reverse proxies in front set X-Forwarded-* headers"
    )
    threads: int = Field(4, ge=1, le=64, description="requests answered side by side")
    query_limit_s: float = Field(
        5.0, ge=0.1, le=60, description="seconds after which a query of the store is ended"
    )
