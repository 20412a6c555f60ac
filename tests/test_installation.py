"""opsnap installed into an empty environment, away from its sources, as an operator has it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import ROOT
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

_INSTALLED_S = 240.0
_STARTED_S = 60.0
_PACKAGES = ("config", "store", "daemon", "web", "migrations", "demo")
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Installed:
    """An environment that has nothing but opsnap, and a folder that has nothing of its sources."""

    environment: Path
    folder: Path

    def python(self, code: str) -> str:
        """Run `code` in the environment and return what it printed."""
        return self._run(str(self.environment / "bin" / "python"), "-c", code)

    def opsnap(self, *arguments: str | Path) -> str:
        """Run `opsnap ARGUMENTS` to its end, which has to be good, and return what it printed."""
        return self._run(str(self.environment / "bin" / "opsnap"), *map(str, arguments))

    @contextmanager
    def running(self, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Run `opsnap ARGUMENTS` beside the test, and yield it and the file of what it says."""
        said = self.folder / "said.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                [self.environment / "bin" / "opsnap", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_plain_environ(),
                cwd=self.folder,
            )
        try:
            yield process, said
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(15)
            finally:
                process.kill()

    def _run(self, *command: str) -> str:
        return _run(*command, cwd=self.folder, timeout_s=_STARTED_S)


def _plain_environ() -> dict[str, str]:
    """Return an environment that leads to no sources and to no other environment of Python."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OPSNAP_CONFIG")
    return {k: v for k, v in os.environ.items() if k not in ours}


def _run(*command: str, cwd: Path, timeout_s: float) -> str:
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        env=_plain_environ(),
        cwd=cwd,
        timeout=timeout_s,
        check=False,
    )
    assert ended.returncode == 0, f"{command}:\n{ended.stdout}"
    return ended.stdout


def _source_files() -> list[str]:
    """Return the files that a clone of this checkout would have, those not committed yet too."""
    listed = _run(
        *("git", "-c", "safe.directory=*", "ls-files", "-z"),
        *("--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        timeout_s=30,
    )
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    base = tmp_path_factory.mktemp("installation")
    sources, environment, folder = base / "sources", base / "environment", base / "elsewhere"
    for name in _source_files():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, sources / name)
    folder.mkdir()
    _run(sys.executable, "-m", "venv", str(environment), cwd=base, timeout_s=_INSTALLED_S)
    pip = str(environment / "bin" / "pip")
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(pip, "install", *quiet, ".", cwd=sources, timeout_s=_INSTALLED_S)
    shutil.rmtree(sources)
    yield Installed(environment, folder)
    shutil.rmtree(base)


@pytest.fixture
def config(installed: Installed, bottube_path: Path, tmp_path: Path) -> Path:
    tree = bottube_tree(
        store_url=f"sqlite:///{tmp_path}/store.db", observed_url=f"sqlite:///{bottube_path}"
    )
    return write_config(tmp_path / "opsnap.toml", tree)


def test_every_file_of_every_package_is_installed(installed: Installed) -> None:
    places = installed.python(
        "import json, pathlib, importlib.util as u\n"
        f"packages = {_PACKAGES!r}\n"
        "print(json.dumps({p: str(pathlib.Path(u.find_spec(p).origin).parent) for p in packages}))"
    )
    missing = [
        name
        for package, place in json.loads(places).items()
        for name in _source_files()
        if name.startswith(f"{package}/")
        and not (Path(place) / name.removeprefix(f"{package}/")).is_file()
    ]
    assert missing == []
    assert all(str(installed.environment) in place for place in json.loads(places).values())


@pytest.mark.parametrize(
    "name",
    [
        "config/bottube.toml",
        "config/systemd/opsnap-daemon.service",
        "config/systemd/opsnap-web.service",
        "demo/opsnap.toml",
        "migrations/env.py",
        "migrations/versions/0001_snapshots.py",
        "web/static/page.css",
        "web/static/page.js",
        "web/templates/engineering.html",
    ],
)
def test_what_is_not_code_is_installed_too(installed: Installed, name: str) -> None:
    package, _, rest = name.partition("/")
    code = f"import importlib.resources as r; print((r.files({package!r}) / {rest!r}).is_file())"
    assert installed.python(code) == "True\n"


def test_nothing_but_opsnap_and_what_it_needs_is_installed(installed: Installed) -> None:
    code = (
        "import importlib.util as u\n"
        "names = 'opsnap', 'daemon', 'tests', 'bench', 'recorder', 'pytest', 'numpy', 'psycopg'\n"
        "print([name for name in names if u.find_spec(name)])"
    )
    assert installed.python(code) == "['opsnap', 'daemon', 'recorder']\n"


def test_help_lists_the_commands(installed: Installed) -> None:
    said = installed.opsnap("--help")
    for command in ("demo", "check", "migrate", "daemon", "web", "sample"):
        assert re.search(rf"^  {command} ", said, re.MULTILINE), said


def test_the_version_is_that_of_the_sources(installed: Installed) -> None:
    version = re.search(r"^version = (\S+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert version is not None
    assert installed.opsnap("--version") == f"opsnap, version {version[1]}\n"


def test_the_record_is_made_filled_and_served(installed: Installed, config: Path) -> None:
    installed.opsnap("--config", config, "migrate")
    printed = installed.opsnap("--config", config, "sample")
    taken_at = json.loads(printed.splitlines()[-1])["taken_at"]
    with installed.running("--config", config, "web") as (web, said):
        address = _address(web, said)
        assert json.loads(_body(f"{address}/api/engineering"))["taken_at"] == taken_at
        page = _body(f"{address}/engineering")
        assert "BoTTube" in page
        for linked in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
            assert _body(address + linked)
    assert web.returncode == 0


def test_the_demo_starts(installed: Installed, tmp_path: Path) -> None:
    with installed.running("demo", "--directory", tmp_path / "demo") as (demo, said):
        wait_for(
            lambda: "The page:" in said.read_text() or demo.poll() is not None,
            "the demo's page",
            _STARTED_S,
        )
        document = json.loads(_body(f"{_address(demo, said)}/api/engineering"))
    statuses = {section["status"] for section in document["sections"].values()}
    assert statuses == {"ok"}
    assert demo.returncode == 0


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    """Wait until an address was printed, and return it."""

    def printed() -> re.Match[str] | None:
        assert process.poll() is None, said.read_text()
        return _ADDRESS.search(said.read_text())

    return wait_for(printed, "an address", _STARTED_S)[0]


def _body(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        body: str = answer.read().decode()
        return body
