import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import STARTED, running
from tests.support.records import recorded
from tests.support.servers import Behaviour, RawServer, hangs, healthy
from tests.support.waiting import wait_for

#: How much later than its slot a tick may begin on a busy machine, in seconds.
_LATE_S = 0.4
_STOP_S = 2.0


@pytest.fixture
def tree(sqlite_url: str, bottube_path: Path, tmp_path: Path) -> dict[str, Any]:
    """BoTTube without nodes, every section of which works, a tick a second."""
    log = tmp_path / "access.log"
    log.write_text("")
    return bottube_tree(
        store_url=sqlite_url, observed_url=f"sqlite:///{bottube_path}", log_path=log, interval_s=1
    )


def _with_node(tree: dict[str, Any], url: str, timeout_s: float = 0.5) -> dict[str, Any]:
    return {**tree, "nodes": [{"id": "n", "location": "x", "url": url, "timeout_s": timeout_s}]}


def _notes_times(asked_at_s: list[float]) -> Behaviour:
    def behave(connection: socket.socket, stop: threading.Event) -> None:
        asked_at_s.append(time.time())
        healthy()(connection, stop)

    return behave


@contextmanager
def _node_server(port: int = 0) -> Iterator[int]:
    """Serve a healthy node on `port`, which another server may have had before."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", port), Health)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_first_tick_comes_at_once(tree: dict[str, Any], tmp_path: Path) -> None:
    tree["schedule"] = {"interval_s": 3600, "deadline_s": 5}
    config = write_config(tmp_path / "opsnap.toml", tree)
    with running(config, "daemon") as daemon:
        daemon.wait_for_log(STARTED)
        wait_for(lambda: recorded(tree["store"]["url"]), "a first snapshot", timeout_s=5)
    assert len(recorded(tree["store"]["url"])) == 1


def test_later_ticks_begin_at_multiples_of_the_interval_by_the_wall_clock(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    asked_at_s: list[float] = []
    with RawServer(_notes_times(asked_at_s)) as node:
        tree = _with_node(tree, node.url)
        tree["schedule"] = {"interval_s": 2, "deadline_s": 1.5}
        config = write_config(tmp_path / "opsnap.toml", tree)
        with running(config, "daemon") as daemon:
            daemon.wait_for_log(STARTED)
            wait_for(lambda: len(recorded(tree["store"]["url"])) >= 3, "three snapshots")
            assert daemon.seconds_to_end(signal.SIGTERM) < _STOP_S
    later_s, taken_at_ms = asked_at_s[1:], [one.taken_at_ms for one in recorded(_url(tree))][1:]
    assert [at_s % 2 < _LATE_S for at_s in later_s] == [True] * len(later_s)
    assert [at_ms % 2000 for at_ms in taken_at_ms] == [0] * len(taken_at_ms)
    assert taken_at_ms[1] - taken_at_ms[0] == 2000


def test_a_tick_is_one_line_in_the_log(tree: dict[str, Any], tmp_path: Path) -> None:
    config = write_config(tmp_path / "opsnap.toml", tree)
    with running(config, "daemon") as daemon:
        wait_for(lambda: len(recorded(_url(tree))) >= 3, "three snapshots")
        daemon.seconds_to_end(signal.SIGTERM)
    ticks = daemon.lines_with("opsnap.daemon: tick ")
    assert len(ticks) == len(recorded(_url(tree)))
    # latency twice, state, queue, outcomes, experiments and pipeline; there is no node.
    pattern = r".* INFO opsnap\.daemon: tick [-\d]+ [:\d]+ UTC: 7 ok, 0 .*latency_admin \d+"
    assert [line for line in ticks if not re.match(pattern, line)] == []
    others = [line for line in daemon.log.splitlines() if line not in ticks]
    said = ("watching BoTTube", "SIGTERM: stopping", "stopped")
    assert all(words in line for words, line in zip(said, others, strict=True)), others


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_signal_ends_the_daemon_while_a_node_hangs(
    tree: dict[str, Any], tmp_path: Path, number: signal.Signals
) -> None:
    with RawServer(hangs) as node:
        tree = _with_node(tree, node.url, timeout_s=20)
        tree["schedule"] = {"interval_s": 30, "deadline_s": 25}
        config = write_config(tmp_path / "opsnap.toml", tree)
        with running(config, "daemon") as daemon:
            wait_for(lambda: node.connections, "the probe")
            assert daemon.seconds_to_end(number) < _STOP_S
            assert daemon.status() == 0
    assert recorded(_url(tree)) == []
    assert daemon.lines_with("Traceback") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_a_signal_ends_the_daemon_between_two_ticks(
    tree: dict[str, Any], tmp_path: Path, number: signal.Signals
) -> None:
    tree["schedule"] = {"interval_s": 3600, "deadline_s": 5}
    config = write_config(tmp_path / "opsnap.toml", tree)
    with running(config, "daemon") as daemon:
        daemon.wait_for_log("opsnap.daemon: tick ")
        assert daemon.seconds_to_end(number) < _STOP_S
        assert daemon.status() == 0
    assert len(recorded(_url(tree))) == 1
    assert daemon.lines_with("Traceback") == []


def test_a_source_is_logged_once_when_it_breaks_and_once_when_it_mends(
    tree: dict[str, Any], tmp_path: Path
) -> None:
    with ExitStack() as first_life:
        port = first_life.enter_context(_node_server())
        tree = _with_node(tree, f"http://127.0.0.1:{port}/health")
        config = write_config(tmp_path / "opsnap.toml", tree)
        with running(config, "daemon") as daemon:
            wait_for(lambda: "ok" in _node_states(tree), "a tick with the node")
            first_life.close()
            wait_for(lambda: _node_states(tree).count("err") >= 3, "three ticks without the node")
            with _node_server(port):
                wait_for(lambda: _node_states(tree)[-1] == "ok", "a tick with the node again")
                daemon.seconds_to_end(signal.SIGTERM)
    broken_for = _node_states(tree).count("err")
    about_node = [line.split("opsnap.daemon: ")[1] for line in daemon.lines_with("nodes.n:")]
    assert [line.split(": ")[:3] for line in about_node] == [
        ["nodes.n", "broken", "refused"],
        ["nodes.n", f"mended after {broken_for} tick(s)"],
    ]


def _url(tree: dict[str, Any]) -> str:
    url: str = tree["store"]["url"]
    return url


def _node_states(tree: dict[str, Any]) -> list[str]:
    return [one.document["nodes"][0]["status"] for one in recorded(_url(tree))]
