"""What an operator does with the units, on a machine of its own: `python -m … PAGE_PORT PORT`.

Runs inside `with-systemd` as root, on the system's Python, in a job folder with the checkout
`opsnap`, the configuration `opsnap.toml`, and the observations it leaves in `observed.json`.
Nothing is judged here; the test compares.
"""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_for

_JOB = Path("/run/job")
_SERVICES = ("opsnap-daemon", "opsnap-web")
_LOGGING = (*_SERVICES, "platform")
_DATABASE = Path("/srv/bottube/bottube.db")
_STORE = Path("/var/lib/opsnap")
_LOG = Path("/var/log/bottube/access.log")
#: What is installed is to run, and not the checkout that this module comes from.
_ENVIRON = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
Observations = dict[str, Any]


def main() -> None:
    page_port, platform_port = int(sys.argv[1]), int(sys.argv[2])
    seen: Observations = {}
    try:
        _start_platform(platform_port)
        _install()
        _start(seen, page_port)
        _check(seen)
        _kill(seen, page_port)
        _stop_platform(seen, page_port)
        _stop(seen)
        _start_the_web_alone(seen, page_port)
    finally:
        seen["journal"] = {name: _run("journalctl", "-o", "cat", "-u", name) for name in _LOGGING}
        (_JOB / "observed.json").write_text(json.dumps(seen))


def _install() -> None:
    """Run the commands of the operator's guide, one block after the other."""
    guide = (_JOB / "opsnap/docs/OPERATIONS.md").read_text()
    chapter = guide.partition("\n## From a bare machine")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    for block in blocks:
        _run("bash", "-euc", "\n".join(_here(line) for line in block.splitlines()))


def _here(command: str) -> str:
    """Return what stands for a command of the guide on a machine without the outside world."""
    words = command.split()
    if words[0] in ("apt-get", "curl"):
        return ""
    if words[:2] == ["git", "clone"]:
        return f"cp -r {_JOB}/opsnap {words[-1]}"
    if words[0] == "editor":
        return f"cp {_JOB}/opsnap.toml {words[-1]}"
    return command


def _start_platform(port: int) -> None:
    _run("useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", "bottube")
    for directory in (_DATABASE.parent, _LOG.parent):
        _run("install", "-d", "-o", "bottube", "-g", "bottube", "-m", "750", str(directory))
    _run(
        *("systemd-run", "--quiet", "--unit=platform", "--uid=bottube", "--gid=bottube"),
        *("--property=UMask=0027", "--setenv=PYTHONPATH=/run/job/opsnap"),
        *("/usr/bin/python3", "-m", "tests.support.unit_platform"),
        *(str(port), str(_DATABASE), str(_LOG)),
    )
    wait_for(_LOG.exists, "the platform's log")


def _start(seen: Observations, port: int) -> None:
    wait_for(lambda: _get(port, "/readyz")[0] == 200, "the first snapshot")
    seen["document"] = wait_for(lambda: _document_with(port, {"ok"}), "every section ok")
    seen["platform_files"] = _owners(_DATABASE.parent)
    seen["store_files"] = _owners(_STORE)
    seen["enabled"] = {name: _run("systemctl", "is-enabled", name).strip() for name in _SERVICES}


def _check(seen: Observations) -> None:
    """Let the service's user check every source, without the platform's group and with it."""
    for name, groups in {"without": (), "with": ("-g", "opsnap", "-G", "bottube")}.items():
        command = ("runuser", "-u", "opsnap", *groups, "--", "/opt/opsnap/bin/opsnap", "check")
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=_ENVIRON
        )
        seen[f"check_{name}_the_group"] = (done.returncode, done.stdout, done.stderr)


def _kill(seen: Observations, port: int) -> None:
    before = _show("opsnap-daemon")
    _run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "opsnap-daemon")
    after = wait_for(lambda: _running_beside(before["MainPID"]), "a new daemon")
    killed_at = _document(port)["taken_at"]
    wait_for(lambda: _document(port)["taken_at"] > killed_at, "a snapshot after the kill")
    seen["killed"] = {"before": before, "after": after, "web": _show("opsnap-web")}


def _stop_platform(seen: Observations, port: int) -> None:
    _run("systemctl", "stop", "platform")
    left = wait_for(lambda: _document_with(port, {"ok", "stale"}, "queue"), "a stale queue")
    seen["document_without_platform"] = left
    seen["platform_files_after"] = _owners(_DATABASE.parent)


def _stop(seen: Observations) -> None:
    seen["stopped"] = {}
    for name in _SERVICES:
        began = time.monotonic()
        _run("systemctl", "stop", name)
        seen["stopped"][name] = {"took_s": time.monotonic() - began, **_show(name)}


def _start_the_web_alone(seen: Observations, port: int) -> None:
    for path in _STORE.iterdir():
        path.unlink()
    _run("systemctl", "start", "opsnap-web")
    wait_for(lambda: _get(port, "/healthz")[0] == 200, "the web app")
    seen["ready_without_a_daemon"] = _get(port, "/readyz")


def _run(*command: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, env=_ENVIRON
    )
    if done.returncode:
        sys.exit(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _show(service: str) -> dict[str, str]:
    told = _run("systemctl", "show", service, "-p", "MainPID,ActiveState,Result,NRestarts")
    told += _run("systemctl", "show", service, "-p", "ExecMainStatus,ExecMainCode")
    return dict(line.split("=", 1) for line in told.splitlines())


def _running_beside(pid: str) -> dict[str, str] | None:
    shown = _show("opsnap-daemon")
    is_new = shown["ActiveState"] == "active" and shown["MainPID"] not in ("0", pid)
    return shown if is_new else None


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def _document(port: int) -> Observations:
    document: Observations = json.loads(_get(port, "/api/engineering")[1])
    return document


def _document_with(port: int, states: set[str], stale: str | None = None) -> Observations | None:
    """Return the newest document if its sections have these states, and `stale` is stale."""
    document = _document(port)
    found = {name: section["status"] for name, section in document["sections"].items()}
    is_wanted = set(found.values()) <= states and (stale is None or found[stale] == "stale")
    return document if is_wanted else None


def _owners(directory: Path) -> dict[str, str]:
    """Return the owner and the mode of each file in `directory`."""
    return {
        path.name: f"{path.owner()} {path.stat().st_mode & 0o777:o}" for path in directory.iterdir()
    }


if __name__ == "__main__":
    main()
