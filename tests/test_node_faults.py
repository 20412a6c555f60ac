"""Nodes that misbehave in one way each, beside one that does not."""

import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon.http_probe import Probe
from store.reasons import REASONS
from tests.support.sampling import (
    cycle_of,
    document_of,
    nodes_sampler,
    probe,
    tree_of_nodes,
)
from tests.support.servers import (
    Behaviour,
    CountedFlood,
    RawServer,
    answers,
    answers_100_mb,
    closes_without_answer,
    continues_for_ever,
    drips_body,
    drips_header,
    full_backlog,
    hangs,
    healthy,
    redirects_to,
    refused_url,
    refuses_in_plain_text,
    resets,
    sends_an_endless_header,
    sends_garbage,
)
from tests.support.waiting import wait_for

TIMEOUT_S = 0.4
#: What a probe may take beyond its timeout.
GRACE_S = 0.3


@contextmanager
def _serving(behaviour: Behaviour) -> Iterator[str]:
    with RawServer(behaviour) as server:
        yield server.url


@contextmanager
def _address(url: str) -> Iterator[str]:
    yield url


@contextmanager
def _plain_for_tls() -> Iterator[str]:
    with RawServer(refuses_in_plain_text) as server:
        yield server.url.replace("http://", "https://")


Faulty = Callable[[], AbstractContextManager[str]]

#: What the node does, what is said of it, and whether it answered at all.
FAULTS: dict[str, tuple[Faulty, str, bool]] = {
    "accepts and never answers": (lambda: _serving(hangs), "timeout", False),
    "accepts no connection": (full_backlog, "timeout", False),
    "drips its header": (lambda: _serving(drips_header), "timeout", False),
    "drips its body": (lambda: _serving(drips_body), "timeout", False),
    "says continue for ever": (lambda: _serving(continues_for_ever), "timeout", False),
    "refuses": (lambda: _address(refused_url()), "refused", False),
    "resets": (lambda: _serving(resets), "reset", False),
    "closes without an answer": (lambda: _serving(closes_without_answer), "reset", False),
    "sends garbage": (lambda: _serving(sends_garbage), "bad_response", False),
    "sends an endless header": (lambda: _serving(sends_an_endless_header), "bad_response", False),
    "answers 503": (
        lambda: _serving(answers(b"{}", "503 Service Unavailable")),
        "http_status",
        True,
    ),
    "answers 404": (lambda: _serving(answers(b"", "404 Not Found")), "http_status", True),
    "does not resolve": (lambda: _address("http://node-1.invalid/health"), "dns", False),
    "speaks plain HTTP where TLS is expected": (_plain_for_tls, "tls", False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_node_at_fault_is_named_with_its_reason_in_time_and_the_other_is_fresh(
    tmp_path: Path, fault: str
) -> None:
    serve, reason, has_answered = FAULTS[fault]
    with serve() as url, RawServer(healthy()) as fine:
        sampler = nodes_sampler(
            tmp_path,
            bad={"url": url, "timeout_s": TIMEOUT_S, "warn_ms": 300, "err_ms": 350},
            good=fine.url,
        )
        probed = probe(sampler)
    bad, good = probed.nodes["bad"], probed.nodes["good"]
    assert (bad["status"], bad["reason"]) == ("err", reason)
    assert reason in REASONS
    assert (bad["rtt_ms"] is not None) is has_answered
    assert (bad["phases_ms"] is not None) is has_answered
    assert (good["status"], good["reason"]) == ("ok", None)
    assert 0 < good["rtt_ms"] < 300
    assert probed.took_s < TIMEOUT_S + GRACE_S


def test_a_redirect_is_an_error_status_and_is_not_followed(tmp_path: Path) -> None:
    with RawServer(healthy()) as target, RawServer(redirects_to(target.url)) as node:
        entry = probe(nodes_sampler(tmp_path, node=node.url)).nodes["node"]
        followed = target.connections
    assert (entry["status"], entry["reason"]) == ("err", "http_status")
    assert entry["rtt_ms"] > 0
    assert followed == 0


def test_of_a_hundred_megabytes_a_few_kilobytes_are_read_and_kept(tmp_path: Path) -> None:
    flood = CountedFlood(100_000_000)
    with RawServer(flood) as node:
        answer = Probe(node.url, timeout_s=2.0).run()
        sampler = nodes_sampler(tmp_path, node=node.url)
        tracemalloc.start()
        entry = probe(sampler).nodes["node"]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert len(answer.body) <= 4096
    assert (entry["status"], entry["reason"]) == ("ok", None)
    # What left the server went into the two sockets' buffers, which the kernel bounds.
    assert flood.sent < 2 * 20_000_000
    assert peak < 2_000_000


def test_a_hundred_megabytes_delay_nothing(tmp_path: Path) -> None:
    with RawServer(answers_100_mb) as node, RawServer(healthy()) as fine:
        sampler = nodes_sampler(
            tmp_path, big={"url": node.url, "timeout_s": TIMEOUT_S}, good=fine.url
        )
        probed = probe(sampler)
    assert {name: entry["status"] for name, entry in probed.nodes.items()} == {
        "big": "ok",
        "good": "ok",
    }
    assert probed.took_s < TIMEOUT_S + GRACE_S


@pytest.fixture
def hanging_resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make glibc's resolver stand still for every name without a dot.

    For those it first reads the file that HOSTALIASES names (hostname(7)), and opening a FIFO
    that nobody writes to blocks: a real look-up that hangs, without rights and without a patch.
    """
    fifo = tmp_path / "aliases"
    os.mkfifo(fifo)
    monkeypatch.setenv("HOSTALIASES", str(fifo))
    yield
    monkeypatch.delenv("HOSTALIASES")

    def every_look_up_has_returned() -> bool:
        os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        return not _node_threads()

    wait_for(every_look_up_has_returned, "the look-ups return")


def _node_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("node:")]


def test_a_resolver_that_hangs_is_dns_tick_after_tick_and_holds_one_thread_a_node(
    tmp_path: Path, hanging_resolver: None
) -> None:
    with RawServer(healthy()) as fine:
        sampler = nodes_sampler(
            tmp_path,
            lost={"url": "http://opsnap-node-without-dot/health", "timeout_s": TIMEOUT_S},
            good=fine.url,
        )
        ticks = [probe(sampler) for _ in range(3)]
        threads = [thread.name for thread in _node_threads()]
    assert ticks[0].took_s > TIMEOUT_S, "the resolver did not hang: the test shows nothing"
    assert all(tick.took_s < TIMEOUT_S + GRACE_S for tick in ticks)
    assert [tick.nodes["good"]["status"] for tick in ticks] == ["ok"] * 3
    assert [tick.nodes["lost"]["status"] for tick in ticks] == ["err"] * 3
    # The same fault under another word each tick would read as news, and flood the log.
    assert [tick.nodes["lost"]["reason"] for tick in ticks] == ["dns"] * 3
    assert threads == ["node:lost"]


def test_thirty_ticks_of_hanging_nodes_leave_no_thread_and_no_connection_behind(
    tmp_path: Path,
) -> None:
    with RawServer(hangs) as node:
        slow: dict[str, Any] = {"url": node.url, "timeout_s": 0.02}
        sampler = nodes_sampler(tmp_path, **{f"node-{i}": slow for i in range(5)})
        most_threads = 0
        for _ in range(30):
            probed = probe(sampler)
            assert {entry["reason"] for entry in probed.nodes.values()} == {"timeout"}
            most_threads = max(most_threads, len(_node_threads()))
        assert node.connections > 30
        wait_for(lambda: not _node_threads(), "the probes' threads end", 2.0)
        ours = [
            connection
            for connection in psutil.Process().net_connections("tcp")
            if connection.raddr and connection.raddr.port == node.port
        ]
    assert most_threads <= 5
    assert ours == []


def test_twenty_of_forty_nodes_hang_and_the_tick_is_as_long_as_one_timeout(tmp_path: Path) -> None:
    with RawServer(hangs) as hanging, RawServer(healthy(delay_s=0.05)) as fine:
        slow = {"url": hanging.url, "timeout_s": 0.5}
        sampler = nodes_sampler(
            tmp_path,
            **{f"bad-{i}": slow for i in range(20)},
            **{f"good-{i}": {"url": fine.url, "timeout_s": 0.5} for i in range(20)},
        )
        probed = probe(sampler)
    assert len(probed.nodes) == 40
    assert [e["id"] for e in probed.nodes.values() if e["status"] == "ok"] == [
        f"good-{i}" for i in range(20)
    ]
    assert {e["reason"] for n, e in probed.nodes.items() if n.startswith("bad")} == {"timeout"}
    assert 0.5 < probed.took_s < 0.5 + GRACE_S


def test_nodes_that_hang_until_just_before_the_ticks_deadline_do_not_blank_the_others(
    tmp_path: Path,
) -> None:
    # A file that is accepted: each timeout is less than the deadline. Probes start a millisecond
    # apart, so that the last of these would be waited for until after it.
    with RawServer(hangs) as hanging, RawServer(healthy()) as fine:
        slow = {"url": hanging.url, "timeout_s": 0.58}
        tree = tree_of_nodes(tmp_path, good=fine.url, **{f"bad-{i}": slow for i in range(60)})
        tree["nodes"][0]["timeout_s"] = 0.5
        tree["schedule"]["deadline_s"] = 0.6
        document = document_of(cycle_of(tmp_path, tree))
    assert document["sections"]["nodes"]["status"] == "ok"
    good, *bad = document["nodes"]
    assert (good["id"], good["status"]) == ("good", "ok")
    assert {(node["status"], node["reason"]) for node in bad} == {("err", "timeout")}
