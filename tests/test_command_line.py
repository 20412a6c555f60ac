import json
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import run, running
from tests.support.records import change, recorded, rows
from tests.support.servers import RawServer, healthy, refused_url

_COMMANDS = ("demo", "check", "migrate", "daemon", "web", "sample")


@pytest.fixture
def node() -> Iterator[RawServer]:
    with RawServer(healthy()) as server:
        yield server


@pytest.fixture
def tree(
    sqlite_url: str,
    bottube_path: Path,
    tmp_path: Path,
    log_line: Callable[..., str],
    node: RawServer,
) -> dict[str, Any]:
    """A configuration every source of which answers."""
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    return bottube_tree(
        store_url=sqlite_url,
        observed_url=f"sqlite:///{bottube_path}",
        log_path=log,
        node_urls=(node.url,),
        health_url=node.url,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "opsnap.toml"


def _table(text: str) -> dict[str, str]:
    """Return a table's lines by the source that each begins with."""
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


def test_help_lists_every_command() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    listed = re.findall(r"^  ([a-z]+) ", ended.stdout.split("Commands:")[1], re.MULTILINE)
    assert set(_COMMANDS) <= set(listed)


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ended = run(command, "--help")
    assert ended.returncode == 0
    assert f"Usage: opsnap {command} [OPTIONS]" in ended.stdout


@pytest.mark.parametrize("command", ["check", "migrate", "daemon", "web", "sample"])
def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, command: str) -> None:
    ended = run("--config", tmp_path / "nowhere.toml", command)
    assert ended.returncode == 2
    assert str(tmp_path / "nowhere.toml") in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_command_is_an_error_of_usage() -> None:
    ended = run("watch")
    assert ended.returncode == 2
    assert "No such command 'watch'" in ended.stderr


def test_check_with_every_source_fine_is_0(tree: dict[str, Any], path: Path) -> None:
    ended = run("--config", write_config(path, tree), "check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = _table(ended.stdout)
    sections = ("nodes", "latency", "latency_admin", "state", "queue", "outcomes", "experiments")
    for source in ("store", *sections, "pipeline"):
        assert table[source].split()[1] == "ok", ended.stdout


def test_check_names_every_source_that_fails_and_why(
    tree: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    tree["nodes"].append({"id": "node-2", "location": "x", "url": refused_url()})
    tree["outcomes"]["table"] = "no_such_table"
    tree["queue"]["status_column"] = "no_such_column"
    tree["state"]["counts"]["comments"] = "SELECT COUNT(*) FROM no_such_comments"
    tree["latency"]["access_logs"][0]["path"] = str(tmp_path / "no_such.log")
    ended = run("--config", write_config(path, tree), "check")
    assert ended.returncode == 1
    table = _table(ended.stdout)
    expected = {
        "node-2": "refused",
        "outcomes": "no_table",
        "queue": "no_column",
        "comments": "no_table",
        "latency": "no_file",
        "latency_admin": "no_file",
    }
    for source, reason in expected.items():
        assert reason in table[source], ended.stdout
    assert [table[source].split()[1] for source in ("store", "experiments", "pipeline")] == [
        "ok"
    ] * 3


def test_check_finds_a_store_without_a_schema(
    tree: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    tree["store"]["url"] = f"sqlite:///{tmp_path}/none.db"
    ended = run("--config", write_config(path, tree), "check")
    assert ended.returncode == 1
    assert "opsnap migrate" in _table(ended.stdout)["store"]
    assert not (tmp_path / "none.db").exists()


def test_check_of_a_bad_file_is_2_and_names_every_mistake(tree: dict[str, Any], path: Path) -> None:
    tree["schedule"]["interval_s"] = "soon"
    tree["queue"]["colour"] = "blue"
    ended = run("--config", write_config(path, tree), "check")
    assert ended.returncode == 2
    assert "schedule.interval_s" in ended.stderr
    assert "queue.colour" in ended.stderr
    assert ended.stdout == ""


def test_check_stores_nothing(tree: dict[str, Any], path: Path, sqlite_url: str) -> None:
    assert run("--config", write_config(path, tree), "check").returncode == 0
    assert recorded(sqlite_url) == []


def test_sample_stores_the_document_that_it_prints(
    tree: dict[str, Any], path: Path, store_url: str
) -> None:
    tree["store"]["url"] = store_url
    ended = run("--config", write_config(path, tree), "sample")
    assert ended.returncode == 0, ended.stderr
    assert [snapshot.text for snapshot in recorded(store_url)] == [ended.stdout.removesuffix("\n")]
    document = json.loads(ended.stdout)
    assert {section["status"] for section in document["sections"].values()} == {"ok"}


def test_sample_dry_run_prints_a_document_and_needs_no_store(
    tree: dict[str, Any], path: Path, tmp_path: Path, sqlite_url: str
) -> None:
    tree["store"]["url"] = f"sqlite:///{tmp_path}/none.db"
    ended = run("--config", write_config(path, tree), "sample", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["state"]["humans"] == 100
    assert not (tmp_path / "none.db").exists()


def test_sample_dry_run_stores_nothing(tree: dict[str, Any], path: Path, sqlite_url: str) -> None:
    assert run("--config", write_config(path, tree), "sample", "--dry-run").returncode == 0
    assert recorded(sqlite_url) == []


def test_sample_without_a_schema_says_what_to_do(
    tree: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    tree["store"]["url"] = f"sqlite:///{tmp_path}/none.db"
    ended = run("--config", write_config(path, tree), "sample")
    assert ended.returncode == 1
    assert "run `opsnap migrate`" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_migrate_creates_the_schema_and_does_no_harm_twice(
    tree: dict[str, Any],
    path: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    engine: str,
) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    if engine == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    tree["store"]["url"] = url
    write_config(path, tree)
    assert run("--config", path, "migrate").returncode == 0
    assert run("--config", path, "sample").returncode == 0
    before = recorded(url)
    assert run("--config", path, "migrate").returncode == 0
    assert recorded(url) == before
    assert len(before) == 1


def test_migrate_leaves_a_store_of_a_newer_opsnap_alone(
    tree: dict[str, Any], path: Path, sqlite_url: str
) -> None:
    change(sqlite_url, "UPDATE alembic_version SET version_num = '9999'")
    ended = run("--config", write_config(path, tree), "migrate")
    assert ended.returncode == 1
    assert "9999" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert rows(sqlite_url, "SELECT version_num FROM alembic_version")[0][0] == "9999"


def test_migrate_says_when_the_store_cannot_be_made(
    tree: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    tree["store"]["url"] = f"sqlite:///{tmp_path}/no_such_folder/store.db"
    ended = run("--config", write_config(path, tree), "migrate")
    assert ended.returncode == 1
    assert "the store cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_environment_names_the_configuration(tree: dict[str, Any], path: Path) -> None:
    write_config(path, tree)
    ended = run("sample", "--dry-run", environ={"OPSNAP_CONFIG": str(path)})
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["source"] == "test"


def test_the_option_goes_before_the_environment(
    tree: dict[str, Any], path: Path, tmp_path: Path
) -> None:
    environ = {"OPSNAP_CONFIG": str(tmp_path / "nowhere.toml")}
    ended = run("--config", write_config(path, tree), "sample", "--dry-run", environ=environ)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_web_serves_until_a_signal_ends_it(
    tree: dict[str, Any], path: Path, number: signal.Signals
) -> None:
    write_config(path, tree)
    printed = run("--config", path, "sample").stdout
    with running(path, "web") as web:
        with urllib.request.urlopen(f"{web.page_url()}/api/engineering", timeout=10) as answer:
            assert answer.read().decode() == printed.removesuffix("\n")
        assert web.seconds_to_end(number) < 2.0
        assert web.status() == 0
    assert "Traceback" not in web.log


def test_web_says_when_its_port_is_taken(tree: dict[str, Any], path: Path, node: RawServer) -> None:
    tree["web"]["port"] = node.port
    ended = run("--config", write_config(path, tree), "web")
    assert ended.returncode == 1
    assert str(node.port) in ended.stderr
    assert "Traceback" not in ended.stderr
