"""What the daemon does when its store is missing, locked, gone for a while, or shared."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import STARTED, Running, run, running
from tests.support.records import change, intervals, recorded, rows
from tests.support.waiting import wait_for

_STOP_S = 2.0
_TICK = "opsnap.daemon: tick "
_ANY_WRITE = "UPDATE sources SET newest_taken_at = newest_taken_at"
AccessLog = Callable[[int], None]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that nobody has migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url: str = request.getfixturevalue("postgres").new_database()
    return url


@pytest.fixture
def write_requests(tmp_path: Path, log_line: Callable[..., str]) -> AccessLog:
    """Append so many requests to the access log at once."""
    log = tmp_path / "access.log"
    log.write_text("")

    def write(count: int) -> None:
        with log.open("a") as file:
            file.write(log_line() * count)

    return write


def _config(tmp_path: Path, store_url: str, observed: Path, **store: str) -> Path:
    tree: dict[str, Any] = bottube_tree(
        store_url=store_url,
        observed_url=f"sqlite:///{observed}",
        log_path=tmp_path / "access.log",
        interval_s=1,
    )
    tree["store"] |= store
    return write_config(tmp_path / f"{tree['store']['source']}.toml", tree)


@contextmanager
def _holding(url: str, statement: str = _ANY_WRITE) -> Iterator[None]:
    """Hold the locks of `statement` in a transaction that changes nothing."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))
        yield


def _counted(url: str, class_key: str = "latency") -> int:
    return sum(one.count for one in intervals(url) if one.class_key == class_key)


def _missed_slots(url: str) -> int:
    slots = [one.taken_at_ms // 1000 for one in recorded(url)]
    return slots[-1] - slots[0] + 1 - len(slots)


def test_a_store_without_a_schema_is_said_clearly(
    tmp_path: Path, empty_store_url: str, bottube_path: Path
) -> None:
    ended = run("--config", _config(tmp_path, empty_store_url, bottube_path), "daemon")
    assert ended.returncode == 1
    assert "the store has no schema yet: run `opsnap migrate`" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("revision", "advice"), [("0000", "run `opsnap migrate`"), ("9999", "run a newer opsnap")]
)
def test_a_store_with_another_schema_is_said_clearly(
    tmp_path: Path, store_url: str, bottube_path: Path, revision: str, advice: str
) -> None:
    change(store_url, f"UPDATE alembic_version SET version_num = '{revision}'")
    ended = run("--config", _config(tmp_path, store_url, bottube_path), "daemon")
    assert ended.returncode == 1
    assert f"revision {revision}" in ended.stderr
    assert advice in ended.stderr
    assert recorded(store_url) == []


def test_while_the_store_is_locked_ticks_are_gaps_and_no_request_is_lost(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    config = _config(tmp_path, store_url, bottube_path)
    with running(config, "daemon") as daemon:
        daemon.wait_for_log(_TICK)
        write_requests(10)
        with _holding(store_url):
            for _ in range(20):
                write_requests(5)
                time.sleep(0.1)
        write_requests(7)
        wait_for(lambda: _counted(store_url) >= 117, "all 117 requests in the record")
        ticks = len(recorded(store_url))
        wait_for(lambda: len(recorded(store_url)) > ticks, "one more tick, without a request")
        daemon.seconds_to_end(signal.SIGTERM)
    assert _counted(store_url) == 117
    assert _missed_slots(store_url) > 0


def test_a_store_that_refuses_is_told_once_and_no_request_is_lost(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    config = _config(tmp_path, store_url, bottube_path)
    with running(config, "daemon") as daemon:
        daemon.wait_for_log(_TICK)
        change(store_url, "ALTER TABLE interval_histograms RENAME TO gone")
        before = len(recorded(store_url))
        write_requests(20)
        daemon.wait_for_log("store: broken")
        for _ in range(10):
            write_requests(2)
            time.sleep(0.1)
        assert len(recorded(store_url)) == before, "a snapshot without its histograms"
        change(store_url, "ALTER TABLE gone RENAME TO interval_histograms")
        daemon.wait_for_log("store: mended")
        wait_for(lambda: _counted(store_url) >= 40, "all 40 requests in the record")
        daemon.seconds_to_end(signal.SIGTERM)
    assert _counted(store_url) == 40
    assert _missed_slots(store_url) > 0
    assert len(daemon.lines_with("store: broken")) == 1
    assert len(daemon.lines_with("store: mended")) == 1


def test_a_signal_ends_the_daemon_while_a_commit_waits_for_the_store(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    with running(_config(tmp_path, store_url, bottube_path), "daemon") as daemon:
        daemon.wait_for_log(_TICK)
        with _holding(store_url):
            stored = len(recorded(store_url))
            time.sleep(1.3)  # nothing can be seen of a tick that waits: one begins each second
            assert daemon.seconds_to_end(signal.SIGTERM) < _STOP_S
            assert daemon.status() == 0
    assert len(recorded(store_url)) == stored
    assert len(intervals(store_url)) == 2 * stored


def test_a_signal_ends_the_daemon_while_it_waits_for_the_store_at_its_start(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    is_sqlite = store_url.startswith("sqlite")
    # As a migration does that is still at work.
    lock = _ANY_WRITE if is_sqlite else "LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE"
    with (
        _holding(store_url, lock),
        running(_config(tmp_path, store_url, bottube_path), "daemon") as daemon,
    ):
        wait_for(lambda: _is_at_store(daemon, store_url), "the daemon to open the store")
        assert daemon.seconds_to_end(signal.SIGTERM) < _STOP_S
        # Nothing has begun that would have to be ended: the signal itself may end it.
        assert daemon.status() in (0, -signal.SIGTERM)


def _is_at_store(daemon: Running, url: str) -> bool:
    if url.startswith("sqlite"):
        opened = psutil.Process(daemon.process.pid).open_files()
        return any(one.path.endswith("store.db") for one in opened)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    return bool(rows(url, waiting + "current_database()"))


def test_two_daemons_under_one_name_record_each_tick_once(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    with _two_daemons(_config(tmp_path, store_url, bottube_path)) as (one, two):
        wait_for(lambda: len(recorded(store_url)) >= 3, "three snapshots")
        one.seconds_to_end(signal.SIGTERM)
        two.seconds_to_end(signal.SIGTERM)
    slots = Counter(snapshot.taken_at_ms // 1000 for snapshot in recorded(store_url))
    assert [slot for slot, count in slots.items() if count > 1] == []
    assert _missed_slots(store_url) == 0
    told = one.lines_with("committed after") + two.lines_with("committed after")
    assert len(told) == len(recorded(store_url))
    assert [daemon.lines_with("Traceback") for daemon in (one, two)] == [[], []]


def test_two_daemons_under_one_name_record_each_request_once(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    with _two_daemons(_config(tmp_path, store_url, bottube_path)) as (one, two):
        wait_for(lambda: recorded(store_url), "the first snapshot")
        for _ in range(2):
            _wait_for_the_middle_of_a_second()
            write_requests(20)
        wait_for(lambda: _counted(store_url) >= 40, "all 40 requests in the record")
        # The one that recorded less is the one that might know requests twice.
        busier, other = sorted(
            (one, two), key=lambda d: len(d.lines_with("committed after")), reverse=True
        )
        busier.seconds_to_end(signal.SIGTERM)
        ticks = len(recorded(store_url))
        wait_for(lambda: len(recorded(store_url)) >= ticks + 2, "the other daemon to go on")
        other.seconds_to_end(signal.SIGTERM)
    assert _counted(store_url) == 40


@contextmanager
def _two_daemons(config: Path) -> Iterator[tuple[Running, Running]]:
    with (
        running(config, "daemon", log_path=config.with_name("one.log")) as one,
        running(config, "daemon", log_path=config.with_name("two.log")) as two,
    ):
        one.wait_for_log(STARTED)
        two.wait_for_log(STARTED)
        yield one, two


def _wait_for_the_middle_of_a_second() -> None:
    """Between two ticks both daemons read the same requests next."""
    time.sleep((1.5 - time.time() % 1) % 1 or 1.0)


def test_daemons_under_several_names_share_a_store(
    tmp_path: Path, store_url: str, bottube_path: Path, write_requests: AccessLog
) -> None:
    configs = [_config(tmp_path, store_url, bottube_path, source=name) for name in ("a", "b")]
    with (
        running(configs[0], "daemon", log_path=tmp_path / "a.log") as one,
        running(configs[1], "daemon", log_path=tmp_path / "b.log") as two,
    ):
        sql = "SELECT source, COUNT(*) AS n FROM snapshots GROUP BY source HAVING COUNT(*) >= 2"
        wait_for(lambda: len(rows(store_url, sql)) == 2, "two snapshots of each")
        one.seconds_to_end(signal.SIGTERM)
        two.seconds_to_end(signal.SIGTERM)
    pairs = [(r.source, r.document) for r in rows(store_url, "SELECT * FROM snapshots")]
    assert all(f'"source":"{source}"' in document for source, document in pairs)
    assert [daemon.lines_with("broken") for daemon in (one, two)] == [[], []]
