"""Nodes behind TLS: certificates that are good, bad, unknown, and handshakes that do not end."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.timed_transport import tls_context
from tests.support.certificates import self_signed, server_context
from tests.support.sampling import nodes_sampler, probe
from tests.support.servers import RawServer, drips_a_tls_handshake, hangs, healthy

TIMEOUT_S = 0.4
GRACE_S = 0.3


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def _entry(tmp_path: Path, context: ssl.SSLContext, **keys: Any) -> dict[str, Any]:
    with RawServer(healthy(), tls=context) as node, RawServer(healthy()) as fine:
        probed = probe(nodes_sampler(tmp_path, node={"url": node.url, **keys}, good=fine.url))
    assert probed.nodes["good"]["status"] == "ok"
    return probed.nodes["node"]


def test_a_certificate_of_a_known_authority_is_accepted_and_its_handshake_is_timed(
    tmp_path: Path, authority: trustme.CA, authority_file: str
) -> None:
    context = server_context(authority.issue_cert("127.0.0.1"))
    entry = _entry(tmp_path, context, ca_file=authority_file)
    assert (entry["status"], entry["reason"]) == ("ok", None)
    phases = entry["phases_ms"]
    assert phases["tls"] > 0
    assert entry["rtt_ms"] == pytest.approx(sum(phases.values()), abs=0.005)


def test_a_certificate_of_an_unknown_authority_is_a_tls_fault(
    tmp_path: Path, authority: trustme.CA
) -> None:
    entry = _entry(tmp_path, server_context(authority.issue_cert("127.0.0.1")))
    assert (entry["status"], entry["reason"], entry["rtt_ms"]) == ("err", "tls", None)


def test_an_unknown_authority_does_not_matter_where_the_file_says_so(
    tmp_path: Path, authority: trustme.CA
) -> None:
    context = server_context(authority.issue_cert("another-host.example"))
    entry = _entry(tmp_path, context, verify_tls=False)
    assert (entry["status"], entry["reason"]) == ("ok", None)
    assert entry["phases_ms"]["tls"] > 0


def test_a_certificate_for_another_host_is_a_tls_fault(
    tmp_path: Path, authority: trustme.CA, authority_file: str
) -> None:
    context = server_context(authority.issue_cert("another-host.example"))
    entry = _entry(tmp_path, context, ca_file=authority_file)
    assert (entry["status"], entry["reason"], entry["rtt_ms"]) == ("err", "tls", None)


def test_an_expired_certificate_is_a_tls_fault(
    tmp_path: Path, authority: trustme.CA, authority_file: str
) -> None:
    now = datetime.now(UTC)
    expired = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )
    entry = _entry(tmp_path, server_context(expired), ca_file=authority_file)
    assert (entry["status"], entry["reason"], entry["rtt_ms"]) == ("err", "tls", None)


def test_a_self_signed_certificate_is_accepted_by_its_own_file_alone(tmp_path: Path) -> None:
    context, certificate = self_signed(tmp_path)
    unknown = _entry(tmp_path, context)
    pinned = _entry(tmp_path, context, ca_file=str(certificate))
    unchecked = _entry(tmp_path, context, verify_tls=False)
    assert (unknown["status"], unknown["reason"]) == ("err", "tls")
    assert (pinned["status"], pinned["reason"]) == ("ok", None)
    assert (unchecked["status"], unchecked["reason"]) == ("ok", None)


def test_another_nodes_certificate_is_not_accepted_by_a_pinned_one(
    tmp_path: Path, authority: trustme.CA
) -> None:
    _, certificate = self_signed(tmp_path)
    context = server_context(authority.issue_cert("127.0.0.1"))
    entry = _entry(tmp_path, context, ca_file=str(certificate))
    assert (entry["status"], entry["reason"]) == ("err", "tls")


@pytest.mark.parametrize("behaviour", [hangs, drips_a_tls_handshake])
@pytest.mark.parametrize("verify_tls", [True, False])
def test_a_handshake_that_does_not_end_is_a_timeout_and_delays_nothing_else(
    tmp_path: Path, behaviour: Any, verify_tls: bool
) -> None:
    with RawServer(behaviour) as node, RawServer(healthy()) as fine:
        url = node.url.replace("http://", "https://")
        sampler = nodes_sampler(
            tmp_path,
            bad={"url": url, "timeout_s": TIMEOUT_S, "verify_tls": verify_tls},
            good=fine.url,
        )
        probed = probe(sampler)
    bad, good = probed.nodes["bad"], probed.nodes["good"]
    assert (bad["status"], bad["reason"], bad["rtt_ms"]) == ("err", "timeout", None)
    assert (good["status"], good["reason"]) == ("ok", None)
    assert probed.took_s < TIMEOUT_S + GRACE_S


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authorities_of_the_environment_are_not_trusted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    authority: trustme.CA,
    authority_file: str,
    variable: str,
) -> None:
    tls_context.cache_clear()
    monkeypatch.setenv(variable, authority_file)
    entry = _entry(tmp_path, server_context(authority.issue_cert("127.0.0.1")))
    assert (entry["status"], entry["reason"]) == ("err", "tls")
