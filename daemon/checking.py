"""`opsnap check`: every source is tried once, and what an operator should know is told."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from config import Config
from config.masking import one_line
from daemon.checking_record import remarks
from daemon.failures import SampleError
from daemon.latency.looking import look_at
from daemon.sampler import Reading
from daemon.samplers import build_samplers
from daemon.samplers.latency import request_sources
from daemon.sections import LastGood
from daemon.side_by_side import SideBySide, Task
from store.engines import open_reader
from store.revision import SchemaError, require_current_schema


@dataclass(frozen=True)
class Finding:
    """One line of the table. `is_failure` decides the exit status."""

    source: str
    status: str
    took_ms: float | None
    detail: str
    is_failure: bool


def check_sources(config: Config) -> list[Finding]:
    """Try the store and every sampler once, side by side, and return what was found."""
    findings = _check_store(config)
    try:
        samplers = build_samplers(config)
    except SampleError as error:
        return [*findings, Finding("observed", "error", None, error.detail, is_failure=True)]
    side_by_side: SideBySide[Mapping[str, Reading]] = SideBySide("check")
    deadline_s = config.schedule.tick_deadline_s
    outcomes = side_by_side.run({s.name: Task(s.sample, deadline_s) for s in samplers if s.sample})
    for sampler in samplers:
        sections = LastGood(0).sections_of(sampler, outcomes.get(sampler.name), 0)
        for name, section in sections.items():
            is_fine = section.status in ("ok", "off") and not section.troubles
            detail = section.reason or ""
            status = section.status if is_fine or section.status != "ok" else "trouble"
            own_failure = section.troubles.get("")
            if own_failure is not None:
                detail = one_line(str(own_failure))
            findings.append(Finding(name, status, section.took_ms, detail, not is_fine))
            findings += [
                Finding(f"  {part}", "error", None, one_line(str(failure)), is_failure=True)
                for part, failure in section.troubles.items()
                if part
            ]
    return findings + _check_request_sources(config) + _warnings(config)


def _check_request_sources(config: Config) -> list[Finding]:
    """Tell which rings and logs are seen, how fresh they are, and how busy."""
    findings: list[Finding] = []
    sources = {} if config.latency is None else request_sources(config.latency)
    for name, source in sources.items():
        began = time.perf_counter()
        try:
            status, detail = "ok", str(look_at(source))
        except SampleError as error:
            status, detail = "error", one_line(str(error))
        took_ms = (time.perf_counter() - began) * 1000
        findings.append(Finding(name, status, took_ms, detail, status == "error"))
    return findings


def _check_store(config: Config) -> list[Finding]:
    """Tell whether the store can be read, how large it is and how far back it reaches."""
    engine = open_reader(config.store.url)
    try:
        require_current_schema(engine)
        said = list(remarks(config, engine))
    except (SchemaError, SQLAlchemyError) as error:
        first_line = one_line(str(error))
        detail = f"{first_line} (opsnap migrate creates it)"
        return [Finding("store", "error", None, detail, is_failure=True)]
    finally:
        engine.dispose()
    return [
        Finding("store", "ok", None, "schema is current", is_failure=False),
        *(
            Finding(f"  {one.part}", "ok" if one.is_fine else "warning", None, one.detail, False)
            for one in said
        ),
    ]


def _warnings(config: Config) -> list[Finding]:
    """Warn of a set-up in which our reader could leave files that the platform cannot write to."""
    url = make_url(config.observed.url) if config.observed else None
    if url is None or url.get_backend_name() != "sqlite" or not url.database:
        return []
    path = Path(url.database)
    try:
        owner = path.stat().st_uid
    except OSError:
        return []  # the section's own line says what is wrong with the file
    if os.geteuid() in (0, owner):
        return []
    if not os.access(path.parent, os.W_OK):
        return []
    detail = (
        f"{path.parent} is writable here, but its database belongs to another user: SQLite may "
        "leave files there that the platform cannot write; run as its user or take the right away"
    )
    return [Finding("observed", "warning", None, detail, is_failure=False)]
