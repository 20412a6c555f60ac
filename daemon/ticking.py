"""When ticks happen: at once, then at every multiple of the interval by the wall clock."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

log = logging.getLogger("opsnap.daemon")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JOB = "tick"
#: A change of the wall clock against the monotonic one from which ticks are planned anew.
_CLOCK_STEP_S = 2.0


class Ticking:
    """Calls `tick` on the grid of `interval_s`, never twice at once, in a thread of its own."""

    def __init__(self, interval_s: int, tick: Callable[[], object]) -> None:
        """Prepare; nothing is called before `start`."""
        self._interval_s, self._tick = interval_s, tick
        self._idle = threading.Event()
        self._idle.set()
        self._is_stopped = False
        self._clock_offset_s = _clock_offset_s()
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(1)}, timezone=UTC
        )
        # It would log every run; ours are told by the tick itself, and missed ones below.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def start(self) -> None:
        """Run the first tick at once and the others on the grid."""
        # Two jobs on one thread: a first tick that takes long makes the next one late, not lost.
        self._scheduler.add_job(self._run, id="first", misfire_grace_time=None)
        self._scheduler.add_job(
            self._run,
            self._grid(),
            id=_JOB,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.add_listener(_tell_missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        self._scheduler.start()

    def watch_clock(self) -> None:
        """Plan ticks anew when the wall clock has been set. To be called about once a second.

        The scheduler waits for a moment of the wall clock: set back an hour, it would be silent
        for an hour; set far ahead, it would count every slot that it believes to have missed.
        """
        offset_s = _clock_offset_s()
        if abs(offset_s - self._clock_offset_s) > _CLOCK_STEP_S:
            log.warning("the clock was set by %.1f s", offset_s - self._clock_offset_s)
            self._scheduler.reschedule_job(_JOB, trigger=self._grid())
        self._clock_offset_s = offset_s

    def stop(self, patience_s: float) -> bool:
        """Begin no more ticks; say whether the one in progress ended within `patience_s`."""
        self._is_stopped = True
        # Waits for the scheduler's round in progress, which stumbles over a shutdown in its middle.
        self._scheduler.remove_all_jobs()
        self._scheduler.shutdown(wait=False)
        return self._idle.wait(patience_s)

    def _grid(self) -> IntervalTrigger:
        now_s = time.time()
        next_s = (now_s // self._interval_s + 1) * self._interval_s
        return IntervalTrigger(
            seconds=self._interval_s,
            start_date=_EPOCH + timedelta(seconds=next_s),
            timezone=UTC,
        )

    def _run(self) -> None:
        if self._is_stopped:
            return
        self._idle.clear()
        try:
            self._tick()
        finally:
            self._idle.set()


def _clock_offset_s() -> float:
    return time.time() - time.monotonic()


def _tell_missed(_event: JobExecutionEvent) -> None:
    log.warning("a tick was missed: the one before it was still running")
