"""Upkeep in a process of its own, which ends itself with kill -9, or is killed, in its midst."""

import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy import Engine, event

from config.retention import Retention
from daemon.upkeep import Upkeep
from store.engines import open_writer
from tests.support.upkeep_stores import SOURCE

#: A server that has imported everything forks each process: a start takes milliseconds.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Job:
    """What a process has to do: all upkeep of the store at `url`."""

    url: str
    retention: Retention


def run_to_the_end(job: Job) -> None:
    """Let a process do all of it."""
    process = _start(job)
    process.join(_PATIENCE_S)
    assert process.exitcode == 0


def kill_after(job: Job, seconds: float) -> bool:
    """Kill -9 a process `seconds` after it began to work; say whether it was still at work."""
    ours, theirs = _FORKS.Pipe()
    process = _start(job, began=theirs)
    assert ours.poll(_PATIENCE_S), "it did not begin"
    time.sleep(seconds)
    process.kill()
    process.join()
    return _was_killed(process)


def kill_at(job: Job, statement: str, number: int) -> bool:
    """Let a process kill itself at an event; say whether it came that far.

    Events are those just before and just after whatever begins as `statement`, counted from 1;
    with COMMIT, those just before one.
    """
    process = _start(job, statement=statement, number=number)
    process.join(_PATIENCE_S)
    return _was_killed(process)


def _was_killed(process: BaseProcess) -> bool:
    assert process.exitcode in (0, -signal.SIGKILL), f"it ended with {process.exitcode}"
    return process.exitcode != 0


def _start(job: Job, **more: Any) -> BaseProcess:
    process = _FORKS.Process(target=_work, args=(job,), kwargs=more, daemon=True)
    process.start()
    return process


def _work(
    job: Job, began: Connection | None = None, statement: str | None = None, number: int = 0
) -> None:
    engine = open_writer(job.url)
    if statement is not None:
        _kill_itself_at(engine, statement, number)
    upkeep = Upkeep(engine, SOURCE, job.retention)
    if began is not None:
        began.send("began")
    while upkeep.work():
        pass
    engine.dispose()


def _kill_itself_at(engine: Engine, begin: str, number: int) -> None:
    left = number

    def count(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        nonlocal left
        if statement.startswith(begin):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", count)
    event.listen(engine, "after_cursor_execute", count)
    event.listen(engine, "commit", lambda connection: count(connection, None, "COMMIT"))
