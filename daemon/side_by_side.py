"""Running named tasks side by side, each under its own deadline, none able to hold the caller.

A task that outlives its deadline keeps its thread until it returns, because Python cannot end a
thread; while it does, no second one is started under its name. So however long sources hang,
there is at most one thread a name.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from daemon.failures import SampleError

T = TypeVar("T")
log = logging.getLogger(__name__)


def _timed_out() -> SampleError:
    return SampleError("timeout", "no result at the deadline")


@dataclass(frozen=True)
class Task(Generic[T]):
    """What to call, how long it may take, and what to do about it when it takes longer.

    `give_up` is called at the deadline, may cut the task short from outside, and returns the
    failure to report.
    """

    call: Callable[[], T]
    deadline_s: float
    give_up: Callable[[], SampleError] = _timed_out


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of a task: a value or a failure, when it began (Unix ms), how long it took."""

    began_at_ms: int
    took_ms: float
    value: T | None = None
    failure: SampleError | None = None

    def why_not(self) -> SampleError:
        """Return the failure of an outcome without a value."""
        return self.failure or SampleError("internal", "a task that returned nothing")


class SideBySide(Generic[T]):
    """Remembers which names still have a thread from an earlier run. Used by one thread.

    `spacing_s` is the pause between two starts: tasks that measure time would otherwise measure
    how long they waited for this process's one interpreter while all the others start.
    """

    def __init__(self, name: str, spacing_s: float = 0.0) -> None:
        self._name, self._spacing_s = name, spacing_s
        self._threads: dict[str, threading.Thread] = {}
        self._given_up: dict[str, SampleError] = {}

    def run(
        self,
        tasks: Mapping[str, Task[T]],
        stop: threading.Event | None = None,
        within_s: float = float("inf"),
    ) -> dict[str, Outcome[T]]:
        """Run `tasks` and return an outcome for each, at the latest at the last deadline.

        All deadlines are cut to `within_s` seconds from now.

        An exception other than SampleError becomes the reason `internal`, and is logged whole.
        When `stop` is set the run ends within 0.1 s; what has not arrived is a `timeout`.
        """
        began, began_at_ms = time.monotonic(), time.time_ns() // 1_000_000
        arrived: SimpleQueue[tuple[str, Outcome[T]]] = SimpleQueue()
        outcomes: dict[str, Outcome[T]] = {}
        waiting: dict[str, float] = {}
        started = 0
        for name, task in tasks.items():
            if (failure := self._start(name, task, arrived)) is not None:
                outcomes[name] = Outcome(began_at_ms, 0.0, failure=failure)
                continue
            waiting[name] = min(time.monotonic() + task.deadline_s, began + within_s)
            # By a plan of its own for each start: pauses that end late would add up.
            started += 1
            time.sleep(max(0.0, began + started * self._spacing_s - time.monotonic()))
        while waiting:
            now = time.monotonic()
            for name in [n for n, ends in waiting.items() if ends <= now or _is_set(stop)]:
                del waiting[name]
                took_ms = (now - began) * 1000
                self._given_up[name] = failure = tasks[name].give_up()
                outcomes[name] = Outcome(began_at_ms, took_ms, failure=failure)
            if not waiting:
                break
            patience_s = min(min(waiting.values()) - now, 0.1 if stop else 3600.0)
            try:
                name, outcome = arrived.get(timeout=patience_s)
            except Empty:
                continue
            if waiting.pop(name, None) is not None:
                outcomes[name] = outcome
        return outcomes

    def _start(
        self, name: str, task: Task[T], arrived: "SimpleQueue[tuple[str, Outcome[T]]]"
    ) -> SampleError | None:
        """Start `task` in a thread of its own and return None, or return why it was not."""
        if (old := self._threads.get(name)) is not None and old.is_alive():
            # Still the failure of then: under another word it would read as news.
            return self._given_up.get(name, _timed_out())
        thread = threading.Thread(
            target=_run_one, args=(name, task, arrived), name=f"{self._name}:{name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            return SampleError("internal", str(error))
        self._threads[name] = thread
        return None


def _is_set(stop: threading.Event | None) -> bool:
    return stop is not None and stop.is_set()


def _run_one(name: str, task: Task[T], arrived: "SimpleQueue[tuple[str, Outcome[T]]]") -> None:
    began, began_at_ms = time.perf_counter(), time.time_ns() // 1_000_000
    value, failure = None, None
    try:
        value = task.call()
    except SampleError as error:
        failure = error
    except Exception as error:
        log.exception("%s: an error that is not foreseen", name)
        failure = SampleError("internal", repr(error))
    took_ms = (time.perf_counter() - began) * 1000
    arrived.put((name, Outcome(began_at_ms, took_ms, value, failure)))
