"""Everything private is planted, everything fails, and nothing of it may come out."""

import base64
import signal
import socket
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from migrations.upgrading import upgrade
from tests.support.configuring import bottube_tree, load_tree, write_config
from tests.support.databases import PostgresServer
from tests.support.processes import run, running
from tests.support.records import change, recorded
from tests.support.servers import (
    RawServer,
    answers,
    hangs,
    redirects_to,
    refused_url,
    refuses_in_plain_text,
)
from tests.support.waiting import wait_for
from web.app import create_app

#: Part of every planted password and token; not even a log may have one.
_SECRET = "s3cret"
#: Part of every other planted thing: hosts, users, paths, SQL, texts of errors and of answers.
_PRIVATE = "priv4te"

_USER = f"{_PRIVATE}-user:{_SECRET}-password"
_TARGET = f"{_PRIVATE}-path?token={_SECRET}-token&key={_SECRET}-key"
_BASIC_AUTH = base64.b64encode(_USER.encode()).decode()
_QUERIES = (
    "",
    "?at=now",
    f"?at={_PRIVATE}",
    "?at=1",
    "?at=500",
    "?at=-3000w",
    f"?{_PRIVATE}={_PRIVATE}",
)


@dataclass(frozen=True)
class Failing:
    """A configuration, everything in which fails, and what each section is to say about it."""

    tree: dict[str, Any]
    path: Path
    reasons: dict[str, str]
    node_reasons: dict[str, str]


def _with_secrets(url: str, scheme: str = "http") -> str:
    return f"{scheme}://{_USER}@{urlsplit(url).netloc}/{_TARGET}"


def _garbage(connection: socket.socket, _stop: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(f"{_PRIVATE} garbage\r\n\r\n".encode())


@pytest.fixture
def nodes() -> Iterator[dict[str, tuple[str, str]]]:
    """The URL of each node that fails in its own way, and the reason for it."""
    elsewhere = f"http://{_USER}@{_PRIVATE}.invalid/{_TARGET}"
    with ExitStack() as stack:
        status = RawServer(answers(_PRIVATE.encode(), f"503 {_PRIVATE}"))
        servers = {
            "hangs": (RawServer(hangs), "http", "timeout"),
            "garbage": (RawServer(_garbage), "http", "bad_response"),
            "status": (status, "http", "http_status"),
            "redirect": (RawServer(redirects_to(elsewhere)), "http", "http_status"),
            "plain": (RawServer(refuses_in_plain_text), "https", "tls"),
        }
        found = {"refused": (_with_secrets(refused_url()), "refused"), "dns": (elsewhere, "dns")}
        for name, (server, scheme, reason) in servers.items():
            stack.enter_context(server)
            found[name] = (_with_secrets(server.url, scheme), reason)
        yield found


@pytest.fixture
def store_url(postgres: PostgresServer) -> str:
    """A migrated store whose URL has a password, which this server does not ask for."""
    url = postgres.new_database().replace("postgres:@", f"postgres:{_SECRET}-store@")
    assert f"{_SECRET}-store" in url
    upgrade(url)
    return url


@pytest.fixture(params=["database refuses", "queries fail"])
def failing(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    store_url: str,
    bottube_path: Path,
    nodes: dict[str, tuple[str, str]],
) -> Failing:
    folder = tmp_path / f"{_PRIVATE}-folder"
    folder.mkdir()
    refused = urlsplit(refused_url()).netloc
    observed_url = f"postgresql+psycopg://{_USER}@{refused}/{_PRIVATE}"
    if request.param == "queries fail":
        observed_url = f"sqlite:///{bottube_path.rename(folder / 'bottube.db')}"
        _plant_bad_times(folder / "bottube.db")
    tree = bottube_tree(
        store_url=store_url,
        observed_url=observed_url,
        log_path=folder / "access.log",
        health_url=nodes["garbage"][0],
        interval_s=1,
    )
    tree["nodes"] = [
        {"id": name, "location": "somewhere", "url": url, "timeout_s": 0.4}
        for name, (url, _) in nodes.items()
    ]
    reasons = dict.fromkeys(("state", "queue", "outcomes", "experiments", "pipeline"), "refused")
    if request.param == "queries fail":
        tree["state"]["counts"] = {"videos": f"SELECT {_PRIVATE}_x FROM {_PRIVATE}_table"}
        tree["outcomes"] = {"table": f"{_PRIVATE}_impressions"}
        tree["experiments"]["event_column"] = f"{_PRIVATE}_event"
        tree["pipeline"]["counts"] = {"renditions": f"SELEC '{_PRIVATE}'"}
        reasons = {"state": "no_table", "outcomes": "no_table", "experiments": "no_column"}
    reasons["latency"] = reasons["latency_admin"] = "no_file"
    node_reasons = {name: reason for name, (_, reason) in nodes.items()}
    return Failing(tree, write_config(folder / "opsnap.toml", tree), reasons, node_reasons)


def _plant_bad_times(path: Path) -> None:
    """Make times of jobs into text, over which the program stumbles in its own way."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE gpu_jobs SET created_at = '{_PRIVATE} a'")
        connection.execute(f"UPDATE gpu_jobs SET started_at = '{_PRIVATE} b'")
        connection.execute(f"UPDATE gpu_jobs SET completed_at = '{_PRIVATE} c'")
    connection.close()


def test_nothing_private_comes_out_when_everything_fails(failing: Failing) -> None:
    store_url = failing.tree["store"]["url"]
    with running(failing.path, "daemon") as daemon:
        wait_for(lambda: len(recorded(store_url)) >= 3, f"three snapshots: {daemon.log}")
        daemon.seconds_to_end(signal.SIGTERM)
    checked = run("--config", failing.path, "check")
    answers = _all_answers(failing)

    _assert_everything_failed(failing)
    assert checked.returncode == 1
    for snapshot in recorded(store_url):
        assert _private_parts(snapshot.text) == []
    for answer in answers:
        assert _private_parts(answer) == []
    for said in (daemon.log, checked.stdout, checked.stderr):
        assert _lines_with_a_secret(said) == []


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_an_error_that_is_not_foreseen_is_answered_without_its_text_and_trace(
    tmp_path: Path, sqlite_url: str, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    tree = bottube_tree(store_url=sqlite_url, observed_url=f"sqlite:///{tmp_path}/none.db")
    app = create_app(load_tree(tmp_path / "opsnap.toml", tree))
    message = f"{_PRIVATE} {_SECRET}"

    def fail() -> None:
        raise RuntimeError(message)

    app.add_url_rule("/fails", view_func=fail)
    answer = app.test_client().get("/fails", headers={"Accept": accept})
    assert answer.status_code == 500
    assert _private_parts(f"{answer.headers}{answer.text}") == []
    assert message in caplog.text


@pytest.mark.parametrize("failing", ["database refuses"], indirect=True)
def test_no_password_and_no_token_is_in_a_verbose_log(failing: Failing) -> None:
    ended = run("--verbose", "--config", failing.path, "sample")
    assert "nodes.refused: broken: refused" in ended.stderr
    assert _lines_with_a_secret(ended.stderr) == []


def test_a_password_is_not_in_the_message_about_a_store_that_refuses(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://{_USER}@{urlsplit(refused_url()).netloc}/{_PRIVATE}"
    tree = bottube_tree(store_url=url, observed_url=f"sqlite:///{tmp_path}/none.db")
    path = write_config(tmp_path / "opsnap.toml", tree)
    for command in ("daemon", "sample", "migrate", "check"):
        ended = run("--config", path, command)
        assert ended.returncode == 1
        assert _lines_with_a_secret(ended.stdout + ended.stderr) == []
    with running(path, "web") as web:
        answers = [_answer(web.page_url(), "/api/engineering"), _answer(web.page_url(), "/readyz")]
    assert [answer.split()[0] for answer in answers] == ["503", "503"]
    assert [_private_parts(answer) for answer in answers] == [[], []]
    assert _lines_with_a_secret(web.log) == []


def test_a_password_is_not_in_the_message_about_a_bad_configuration(tmp_path: Path) -> None:
    tree = bottube_tree(store_url=f"postgrs://{_USER}@h/{_TARGET}", observed_url="sqlite:///x.db")
    tree["nodes"] = [{"id": "n", "location": "x", "url": f"htps://{_USER}@h/{_TARGET}"}]
    tree["platform"]["health_url"] = f"http://{_USER}@h:99999/{_TARGET}"
    ended = run("--config", write_config(tmp_path / "opsnap.toml", tree), "check")
    assert ended.returncode == 2
    for key in ("store.url", "nodes[0].url", "platform.health_url"):
        assert key in ended.stderr
    assert _lines_with_a_secret(ended.stderr) == []


def _all_answers(failing: Failing) -> list[str]:
    """Return everything that a visitor can get, from a store that breaks at the end."""
    store_url = failing.tree["store"]["url"]
    damaged = f"INSERT INTO snapshots VALUES ('test', 500000, '{_PRIVATE}, not JSON')"
    change(store_url, damaged)
    targets = [f"/{page}{q}" for page in ("engineering", "api/engineering") for q in _QUERIES]
    targets += [
        "/engineering?at=600",
        "/",
        "/readyz",
        "/healthz",
        "/nowhere",
        "/static/nothing.css",
        "/static/page.css",
    ]
    with running(failing.path, "web") as web:
        found = [
            _answer(web.page_url(), target, accept=accept)
            for target in targets
            for accept in ("text/html", "application/json")
        ]
        found += [_answer(web.page_url(), target, method="POST") for target in targets]
        change(store_url, f"ALTER TABLE snapshots RENAME TO {_PRIVATE}_gone")
        broken = [_answer(web.page_url(), f"/{p}?at=-1s") for p in ("engineering", "readyz")]
        broken.append(_answer(web.page_url(), "/api/engineering?at=-2s"))
        change(store_url, f"ALTER TABLE {_PRIVATE}_gone RENAME TO snapshots")
        change(store_url, "DELETE FROM snapshots WHERE taken_at = 500000")
    statuses = {answer.split()[0] for answer in [*found, *broken]}
    assert {"200", "302", "400", "404", "405", "503"} <= statuses
    assert _lines_with_a_secret(web.log) == []
    return [*found, *broken]


def _answer(url: str, target: str, *, method: str = "GET", accept: str = "*/*") -> str:
    """Return status, headers and body of one answer as one text."""
    request = urllib.request.Request(url + target, method=method, headers={"Accept": accept})
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=10) as answer:
            return f"{answer.status}\n{answer.headers}\n{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.reason}\n{error.headers}\n{error.read().decode()}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _assert_everything_failed(failing: Failing) -> None:
    document = recorded(failing.tree["store"]["url"])[-1].document
    sections = document["sections"]
    assert {name: sections[name]["reason"] for name in failing.reasons} == failing.reasons
    assert {name for name, section in sections.items() if section["status"] == "ok"} == {"nodes"}
    assert {node["id"]: node["reason"] for node in document["nodes"]} == failing.node_reasons


def _private_parts(text: str) -> list[str]:
    """Return the places where something planted, or of a stack trace, stands."""
    planted = (_SECRET, _PRIVATE, _BASIC_AUTH.lower(), "traceback", "sqlalchemy", 'file "')
    low = text.lower()
    return [low[max(0, low.find(p) - 80) : low.find(p) + 80] for p in planted if p in low]


def _lines_with_a_secret(log: str) -> list[str]:
    return [line for line in log.splitlines() if _SECRET in line.lower() or _BASIC_AUTH in line]
