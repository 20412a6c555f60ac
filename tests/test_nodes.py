"""Nodes that answer: what is measured, how it is judged, what the probe sends."""

import socket
import threading
from pathlib import Path

import pytest

from daemon.http_probe import Probe
from tests.support.sampling import nodes_sampler, probe
from tests.support.servers import RawServer, answers, healthy


def test_an_answer_has_its_round_trip_time_and_the_phases_add_up_to_it(tmp_path: Path) -> None:
    with RawServer(healthy(delay_s=0.12)) as node:
        entry = probe(nodes_sampler(tmp_path, node=node.url)).nodes["node"]
    phases = entry["phases_ms"]
    assert list(phases) == ["dns", "connect", "tls", "first_byte"]
    assert phases["tls"] is None
    assert phases["first_byte"] >= 120
    assert 120 <= entry["rtt_ms"] < 120 + 150
    assert entry["rtt_ms"] == pytest.approx(
        phases["dns"] + phases["connect"] + phases["first_byte"], abs=0.005
    )


@pytest.mark.parametrize(
    ("delay_s", "status"), [(0.0, "ok"), (0.15, "warn"), (0.35, "err")], ids=["ok", "warn", "err"]
)
def test_a_node_is_judged_by_its_own_thresholds(
    tmp_path: Path, delay_s: float, status: str
) -> None:
    with RawServer(healthy(delay_s)) as node:
        sampler = nodes_sampler(tmp_path, node={"url": node.url, "warn_ms": 120, "err_ms": 330})
        entry = probe(sampler).nodes["node"]
    assert (entry["status"], entry["reason"]) == (status, None)
    assert entry["rtt_ms"] >= delay_s * 1000


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ("200 OK", "ok", None),
        ("204 No Content", "ok", None),
        ("301 Moved Permanently", "err", "http_status"),
        ("401 Unauthorized", "err", "http_status"),
        ("500 Internal Server Error", "err", "http_status"),
        ("503 Service Unavailable", "err", "http_status"),
    ],
)
def test_only_a_successful_status_is_fine(
    tmp_path: Path, answer: str, status: str, reason: str | None
) -> None:
    with RawServer(answers(b"", answer)) as node:
        entry = probe(nodes_sampler(tmp_path, node=node.url)).nodes["node"]
    assert (entry["status"], entry["reason"]) == (status, reason)
    assert entry["rtt_ms"] > 0


def test_nodes_stand_in_the_order_of_the_file_with_their_locations(tmp_path: Path) -> None:
    with RawServer(healthy(delay_s=0.1)) as slow, RawServer(healthy()) as quick:
        sampler = nodes_sampler(
            tmp_path,
            zulu={"url": slow.url, "location": "Hong Kong"},
            alpha={"url": quick.url, "location": "Proxmox Texas (partner)"},
        )
        assert sampler.sample is not None
        entries = sampler.sample()["nodes"].values
    assert [(e["id"], e["location"]) for e in entries] == [
        ("zulu", "Hong Kong"),
        ("alpha", "Proxmox Texas (partner)"),
    ]
    assert all(
        e.keys() == {"id", "location", "status", "rtt_ms", "reason", "phases_ms"} for e in entries
    )


def test_proxies_in_the_environment_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(healthy()) as proxy, RawServer(healthy()) as node:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        entry = probe(nodes_sampler(tmp_path, node=node.url)).nodes["node"]
        asked = (proxy.connections, node.connections)
    assert entry["status"] == "ok"
    assert asked == (0, 1)


def test_passwords_of_the_environment_are_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login operator password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    heard: list[bytes] = []

    def listens(connection: socket.socket, _stop: threading.Event) -> None:
        heard.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with RawServer(listens) as node:
        entry = probe(nodes_sampler(tmp_path, node=node.url)).nodes["node"]
    assert entry["status"] == "ok"
    request = heard[0].decode().lower()
    assert request.startswith("get /health http/1.1\r\n")
    assert "\r\nuser-agent: opsnap\r\n" in request
    assert "\r\naccept-encoding: identity\r\n" in request
    assert "authorization" not in request


def test_every_probe_opens_a_connection_of_its_own(tmp_path: Path) -> None:
    with RawServer(healthy()) as node:
        sampler = nodes_sampler(tmp_path, node=node.url)
        for _ in range(3):
            assert probe(sampler).nodes["node"]["phases_ms"]["connect"] > 0
        assert node.connections == 3


def test_a_name_with_several_addresses_is_tried_until_one_connects() -> None:
    # "localhost" is ::1 and 127.0.0.1 on most machines; the server listens on the latter only.
    with RawServer(healthy()) as node:
        answer = Probe(f"http://localhost:{node.port}/health", timeout_s=2.0).run()
    assert answer.status == 200
