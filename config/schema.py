"""The whole configuration: one field a section of the file."""

from typing import Annotated

from pydantic import Field

from config.latency import Latency
from config.panels import Experiments, Outcomes, Pipeline, Queue, State
from config.platform import Node, Observed, Platform
from config.retention import Retention
from config.section import Section
from config.service import Schedule, Store, Titles, Web


class Config(Section):
    """What `load` returns. A section that is absent is a panel that is off."""

    platform: Platform
    store: Store
    schedule: Schedule = Schedule()
    retention: Retention = Retention()
    web: Web = Web()
    titles: Titles = Titles()
    observed: Observed | None = None
    latency: Latency | None = None
    nodes: Annotated[tuple[Node, ...], Field(strict=False, max_length=1000)] = ()
    state: State | None = None
    queue: Queue | None = None
    outcomes: Outcomes | None = None
    experiments: Experiments | None = None
    pipeline: Pipeline | None = None
