import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from types import SimpleNamespace
from typing import Self

import pytest
from apscheduler.executors import base as apscheduler_executors
from apscheduler.schedulers import base as apscheduler_schedulers

from daemon import ticking as daemon_ticking
from daemon.ticking import Ticking
from tests.support.waiting import wait_for

#: How much after its moment a tick may begin on a busy machine, in seconds.
_LATE_S = 0.3


@contextmanager
def _started(tick: Callable[[], object], interval_s: int = 1) -> Iterator[Ticking]:
    ticking = Ticking(interval_s, tick)
    ticking.start()
    try:
        yield ticking
    finally:
        assert ticking.stop(5.0)


def test_the_first_tick_comes_at_once_and_the_others_on_the_grid() -> None:
    began_at_s: list[float] = []
    started_at_s = time.time()
    with _started(lambda: began_at_s.append(time.time())):
        wait_for(lambda: len(began_at_s) >= 4, "four ticks")
    assert began_at_s[0] - started_at_s < _LATE_S
    assert [at_s % 1 < _LATE_S for at_s in began_at_s[1:4]] == [True] * 3
    assert [int(at_s) for at_s in began_at_s[1:4]] == [int(began_at_s[1]) + i for i in range(3)]


def test_the_grid_is_of_multiples_of_the_interval_since_the_epoch() -> None:
    began_at_s: list[float] = []
    with _started(lambda: began_at_s.append(time.time()), interval_s=3):
        wait_for(lambda: len(began_at_s) >= 2, "a second tick")
    assert began_at_s[1] % 3 < _LATE_S


def test_a_tick_that_takes_longer_than_the_interval_is_never_run_twice_at_once() -> None:
    running: list[int] = []
    most_running: list[int] = []
    ended: list[float] = []

    def tick() -> None:
        running.append(1)
        most_running.append(len(running))
        time.sleep(1.2)
        running.pop()
        ended.append(time.time())

    with _started(tick):
        wait_for(lambda: len(ended) >= 2, "two ticks")
    assert max(most_running) == 1


def test_a_first_tick_that_takes_long_makes_the_next_one_late_not_lost() -> None:
    began_at_s: list[float] = []
    is_released = threading.Event()

    def tick() -> None:
        began_at_s.append(time.time())
        is_released.wait(10)

    with _started(tick):
        wait_for(lambda: began_at_s, "the first tick")
        slot_s = int(began_at_s[0]) + 1
        wait_for(lambda: time.time() > slot_s + 0.3, "the next slot to pass")
        is_released.set()
        wait_for(lambda: len(began_at_s) >= 2, "the late tick")
    assert began_at_s[1] < slot_s + 0.9


def test_a_tick_that_raises_ends_neither_the_thread_nor_the_ticking(
    caplog: pytest.LogCaptureFixture,
) -> None:
    began: list[float] = []

    def tick() -> None:
        began.append(time.time())
        raise RuntimeError("unforeseen")

    with caplog.at_level(logging.CRITICAL, "apscheduler"), _started(tick):
        wait_for(lambda: len(began) >= 3, "three ticks")


def test_stopping_begins_no_more_ticks_and_waits_for_the_one_in_progress() -> None:
    began: list[float] = []
    ended: list[float] = []

    def tick() -> None:
        began.append(time.time())
        time.sleep(0.4)
        ended.append(time.time())

    ticking = Ticking(1, tick)
    ticking.start()
    wait_for(lambda: began, "the first tick")
    assert ticking.stop(5.0)
    assert len(ended) == len(began)
    time.sleep(1.1)  # a whole interval in which nothing may happen
    assert len(ended) == len(began)


def test_stopping_does_not_wait_for_ever_for_a_tick_that_hangs() -> None:
    is_released, began = threading.Event(), threading.Event()

    def tick() -> None:
        began.set()
        is_released.wait(10)

    ticking = Ticking(1, tick)
    ticking.start()
    assert began.wait(5)
    before_s = time.monotonic()
    assert not ticking.stop(0.2)
    assert 0.2 <= time.monotonic() - before_s < 1.0
    is_released.set()


def test_a_tick_that_waits_behind_another_is_not_begun_after_stopping() -> None:
    began: list[float] = []
    is_released = threading.Event()

    def tick() -> None:
        began.append(time.time())
        is_released.wait(10)

    ticking = Ticking(1, tick)
    ticking.start()
    wait_for(lambda: began, "the first tick")
    wait_for(lambda: time.time() > int(began[0]) + 1.2, "the next slot, whose tick has to wait")
    threading.Timer(0.2, is_released.set).start()
    assert ticking.stop(5.0)
    time.sleep(0.3)  # in which a tick that was waiting would begin
    assert len(began) == 1


class _SteppableClock:
    """A wall clock that runs beside the real one; ticking and its scheduler are put on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        times = SimpleNamespace(time=self.time, monotonic=time.monotonic)
        monkeypatch.setattr(daemon_ticking, "time", times)
        clock = self

        class SteppedDatetime(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Self:
                return cls.fromtimestamp(clock.time(), tz)

        monkeypatch.setattr(apscheduler_schedulers, "datetime", SteppedDatetime)
        monkeypatch.setattr(apscheduler_executors, "datetime", SteppedDatetime)

    def time(self) -> float:
        return time.time() + self.ahead_s


@pytest.mark.parametrize("step_s", [-3600.4, 3600.4, 86_400.0 * 30])
def test_after_the_clock_was_set_ticks_go_on_at_once_on_the_grid_of_the_new_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step_s: float
) -> None:
    clock = _SteppableClock(monkeypatch)
    began_at_s: list[float] = []
    with _started(lambda: began_at_s.append(clock.time())) as ticking:
        wait_for(lambda: len(began_at_s) >= 2, "a tick before the step")
        clock.ahead_s = step_s
        ticking.watch_clock()
        before = len(began_at_s)
        wait_for(lambda: len(began_at_s) >= before + 2, "two ticks after the step", timeout_s=3)
    after_s = began_at_s[before : before + 2]
    assert [at_s % 1 < _LATE_S for at_s in after_s] == [True, True]
    assert int(after_s[1]) - int(after_s[0]) == 1
    assert [record.message for record in caplog.records] == [f"the clock was set by {step_s:.1f} s"]


@pytest.mark.parametrize("slew_s", [-1.5, 1.5])
def test_a_clock_that_is_slewed_a_little_is_no_step(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, slew_s: float
) -> None:
    clock = _SteppableClock(monkeypatch)
    with _started(lambda: None) as ticking:
        clock.ahead_s = slew_s
        ticking.watch_clock()
        clock.ahead_s = 2 * slew_s
        ticking.watch_clock()
    assert caplog.records == []
