"""The service files: judged by systemd's own tools, and run by a systemd that was booted for it."""

import json
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from config import load
from tests.support.configuring import bottube_tree, write_config
from tests.support.skipping import skip_unless_ci

PROJECT = Path(__file__).parents[1]
UNITS = sorted((PROJECT / "config" / "systemd").glob("*.service"))
PROGRAM = "/opt/opsnap/bin/opsnap"
WITH_SYSTEMD = PROJECT / "tests" / "support" / "with-systemd"
#: What the program of an empty checkout consists of; nothing that a build or a test leaves there.
NOT_COPIED = (".git", ".venv", ".*_cache", "__pycache__", "*.egg-info", "build", "*.db*")
_CANNOT = 77

each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        skip_unless_ci("systemd-analyze is missing: apt-get install systemd")
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def verify(unit: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """Let systemd verify a copy of `unit` whose program is one that this machine has."""
    copy = directory / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    return analyze("verify", "--man=no", "--recursive-errors=one", str(copy))


def test_there_are_the_two_services() -> None:
    assert [unit.name for unit in UNITS] == ["opsnap-daemon.service", "opsnap-web.service"]


@each_unit
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    verdict = verify(unit, tmp_path)
    assert (verdict.returncode, verdict.stderr) == (0, "")


def test_a_key_that_systemd_252_does_not_know_would_be_found(tmp_path: Path) -> None:
    unit = tmp_path / "source" / UNITS[0].name
    unit.parent.mkdir()
    unit.write_text(UNITS[0].read_text().replace("RestartSec=5", "RestartSeconds=5"))
    verdict = verify(unit, tmp_path)
    assert verdict.returncode != 0
    assert "RestartSeconds" in verdict.stderr


@each_unit
def test_systemd_gives_a_unit_an_exposure_of_at_most_2(unit: Path) -> None:
    verdict = analyze("security", "--no-pager", "--offline=true", "--threshold=20", str(unit))
    assert verdict.returncode == 0, verdict.stdout


@each_unit
def test_the_example_configuration_fits_a_unit(unit: Path) -> None:
    text = unit.read_text()
    config = load(PROJECT / "config" / "bottube.toml")
    assert "StateDirectory=opsnap\n" in text
    assert config.store.url == "sqlite:////var/lib/opsnap/opsnap.db"
    assert (config.web.host, config.web.port) == ("127.0.0.1", 8098)


def boot(job: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `command` in `job` as root under a systemd of its own; skip where that cannot be."""
    if os.geteuid() != 0:
        skip_unless_ci("only root may boot a systemd to run the units")
    if not Path("/lib/systemd/systemd").exists():
        skip_unless_ci("systemd is missing: apt-get install systemd")
    done = subprocess.run(
        [WITH_SYSTEMD, "-t", "150", job, *command], capture_output=True, text=True, check=False
    )
    if done.returncode == _CANNOT:
        skip_unless_ci(done.stderr.strip())
    return done


def test_the_machine_that_is_booted_changes_nothing_of_this_one(tmp_path: Path) -> None:
    job, kept, traces = tmp_path / "job", tmp_path / "kept", [PROJECT / "trace", Path("/etc/trace")]
    job.mkdir()
    kept.write_text("of this machine")
    # Nothing worse than this, for the day on which it is not true.
    script = f"ls -A /tmp; rm -f {kept}; touch left {traces[0]} {traces[1]} && systemctl --version"
    done = boot(job, "bash", "-c", script)
    assert done.returncode == 0
    assert done.stdout.startswith("systemd ")
    assert kept.read_text() == "of this machine"
    assert [path for path in traces if path.exists()] == []
    assert [path.name for path in job.iterdir()] == ["left"]


def free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as b:
        return one.getsockname()[1], b.getsockname()[1]


def prepare(job: Path, page_port: int, platform_port: int) -> None:
    """Put into `job` what an operator brings: a checkout and a configuration."""
    ignore = shutil.ignore_patterns(*NOT_COPIED)
    shutil.copytree(PROJECT, job / "opsnap", ignore=ignore)
    health = f"http://127.0.0.1:{platform_port}/health"
    tree = bottube_tree(
        store_url="sqlite:////var/lib/opsnap/opsnap.db",
        observed_url="sqlite:////srv/bottube/bottube.db",
        log_path=Path("/var/log/bottube/access.log"),
        # By a name as well: looking it up has to be possible under the unit's restrictions.
        node_urls=(health, health.replace("127.0.0.1", "localhost")),
        health_url=health,
        interval_s=2,
    )
    tree["web"]["port"] = page_port
    write_config(job / "opsnap.toml", tree)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was observed while a booted systemd ran the units, from installing to stopping."""
    if not list(Path("/usr/lib").glob("python3.*/ensurepip/__init__.py")):
        skip_unless_ci("/usr/bin/python3 makes no environments: apt-get install python3-venv")
    job = tmp_path_factory.mktemp("job")
    job.chmod(0o755)  # the platform's user reads its program from there
    page_port, platform_port = free_ports()
    prepare(job, page_port, platform_port)
    scenario = ("-m", "tests.support.operating_units", str(page_port), str(platform_port))
    done = boot(job, "env", "PYTHONPATH=opsnap", "/usr/bin/python3", *scenario)
    observed = job / "observed.json"
    found: dict[str, Any] = json.loads(observed.read_text()) if observed.exists() else {}
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{found.get('journal')}"
    return found


def test_the_operators_guide_leads_to_a_page_with_every_section_ok(seen: dict[str, Any]) -> None:
    assert seen["enabled"] == {"opsnap-daemon": "enabled", "opsnap-web": "enabled"}
    sections = seen["document"]["sections"]
    assert {name: section["status"] for name, section in sections.items()} == {
        "nodes": "ok",
        "latency": "ok",
        "latency_admin": "ok",
        "state": "ok",
        "queue": "ok",
        "outcomes": "ok",
        "experiments": "ok",
        "pipeline": "ok",
    }
    assert [node["status"] for node in seen["document"]["nodes"]] == ["ok", "ok"]


def test_the_web_service_starts_without_a_daemon_and_a_store(seen: dict[str, Any]) -> None:
    status, body = seen["ready_without_a_daemon"]
    assert (status, json.loads(body)) == (503, {"ok": False, "error": "no_snapshot"})


def test_the_store_belongs_to_the_service_and_nobody_else_reads_it(seen: dict[str, Any]) -> None:
    assert seen["store_files"]["opsnap.db"] == "opsnap 600"
    assert set(seen["store_files"].values()) == {"opsnap 600"}


def test_a_busy_database_of_another_user_is_read_without_a_trace(seen: dict[str, Any]) -> None:
    assert seen["platform_files"] == {
        "bottube.db": "bottube 640",
        "bottube.db-wal": "bottube 640",
        "bottube.db-shm": "bottube 640",
    }


def test_a_database_whose_platform_is_stopped_is_unreadable_and_left_as_it_is(
    seen: dict[str, Any],
) -> None:
    sections = seen["document_without_platform"]["sections"]
    assert (sections["queue"]["status"], sections["queue"]["reason"]) == ("stale", "unreadable")
    assert seen["platform_files_after"] == {"bottube.db": "bottube 640"}


def test_a_check_without_rights_says_denied_and_with_the_group_all_is_fine(
    seen: dict[str, Any],
) -> None:
    status, told, complaints = seen["check_without_the_group"]
    assert "Traceback" not in complaints, complaints
    assert status == 1
    assert re.search(r"^queue +error .*denied", told, re.MULTILINE), told
    status, told, _ = seen["check_with_the_group"]
    assert status == 0, told


def test_a_daemon_that_is_killed_is_started_again_and_the_web_goes_on(seen: dict[str, Any]) -> None:
    killed = seen["killed"]
    assert killed["after"]["MainPID"] != killed["before"]["MainPID"]
    assert killed["after"]["NRestarts"] == "1"
    assert killed["web"]["NRestarts"] == "0"


@pytest.mark.parametrize("service", ["opsnap-daemon", "opsnap-web"])
def test_a_service_stops_cleanly_within_two_seconds(seen: dict[str, Any], service: str) -> None:
    stopped = seen["stopped"][service]
    assert stopped["took_s"] < 2
    assert (stopped["ActiveState"], stopped["Result"]) == ("inactive", "success")
    assert stopped["ExecMainStatus"] == "0"


def test_the_journal_tells_of_ticks_and_of_no_exception(seen: dict[str, Any]) -> None:
    lines = seen["journal"]["opsnap-daemon"]
    assert re.search(r"INFO opsnap.daemon: tick \S+ \S+ UTC: 8 ok, 0 ", lines)
    assert "Traceback" not in lines + seen["journal"]["opsnap-web"]
