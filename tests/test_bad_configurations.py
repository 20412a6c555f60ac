"""Every file in tests/data with an .expected beside it is refused in exactly those words."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from config import ConfigError, load
from opsnap import cli

ROOT = Path(__file__).parents[1]
DATA = ROOT / "tests" / "data"
GOOD = {"design.toml"}
BAD = sorted(path for path in DATA.glob("*.toml") if path.name not in GOOD)
#: None of the secrets that the files ask for is there.
WITHOUT_SECRETS = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("OPSNAP_") and name != "CREDENTIALS_DIRECTORY"
}
HEAD = '[platform]\nname = "x"\n[store]\nurl = "sqlite:////var/lib/x.db"\nsource = "x"\n'


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ.keys() - WITHOUT_SECRETS.keys():
        monkeypatch.delenv(name)


def expected(path: Path) -> str:
    return path.with_suffix(".expected").read_text(encoding="utf-8").replace("{file}", str(path))


def run(path: Path, *command: str) -> Result:
    return CliRunner().invoke(cli, ["--config", str(path), *(command or ("check",))])


def mistakes(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_exactly_its_messages(path: Path) -> None:
    result = run(path)
    assert result.stderr == expected(path)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_loader_has_one_problem_for_each_message(path: Path) -> None:
    lines = expected(path).splitlines()
    assert [f"{path}: {problem}" for problem in mistakes(path)] == lines


def test_there_are_bad_files_and_each_has_its_messages_beside_it() -> None:
    assert len(BAD) >= 50
    assert {path.stem for path in BAD} == {path.stem for path in DATA.glob("*.expected")}


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_message_names_file_key_value_and_expectation_once(path: Path) -> None:
    lines = path.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    assert lines
    keys = []
    for line in lines:
        parts = re.fullmatch(r"\{file\}: (.+?): (.+); (expected .+)", line)
        assert parts, line
        keys.append(parts[1])
    assert len(set(keys)) == len(keys), "two messages for one key"


def test_no_message_shows_a_password_that_stands_in_the_file() -> None:
    passwords = [path for path in BAD if b"hunter2" in path.read_bytes()]
    assert {path.stem for path in passwords} == {"database_password", "many_mistakes"}
    for path in passwords:
        stderr = run(path).stderr
        assert "hun" not in stderr, path.name
        assert "ter2" not in stderr, path.name


def test_the_file_with_many_mistakes_has_many() -> None:
    assert len(mistakes(DATA / "many_mistakes.toml")) == 25


@pytest.mark.parametrize("stem", ["many_mistakes", "toml_not_utf8", "section_unknown"])
def test_the_program_itself_exits_with_2_whatever_the_seed_of_its_hashes(stem: str) -> None:
    path = DATA / f"{stem}.toml"
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "opsnap", "--config", str(path), "check"],
            cwd=ROOT,
            env={**WITHOUT_SECRETS, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stderr == expected(path)
        assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("command", ["check", "daemon", "migrate", "sample", "web"])
def test_every_command_refuses_a_bad_file_before_it_does_anything(
    command: str, tmp_path: Path
) -> None:
    path = tmp_path / "opsnap.toml"
    store = tmp_path / "store.db"
    path.write_text(
        f'[platform]\nname = "x"\n[store]\nurl = "sqlite:///{store}"\nsource = "x"\n'
        "[schedule]\ninterval_s = 0\n",
        encoding="utf-8",
    )
    result = run(path, command)
    assert result.exit_code == 2
    assert result.stderr == f"{path}: schedule.interval_s: 0; expected 1 or more\n"
    assert not store.exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    result = run(path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"{path}: (file): No such file or directory; expected a readable TOML file\n"
    )


def test_a_directory_in_the_files_place_is_named(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path}: (file): Is a directory; expected a readable TOML file\n"


def test_the_file_that_the_environment_names_is_the_one_that_is_refused() -> None:
    path = DATA / "url_prefix.toml"
    result = CliRunner().invoke(cli, ["check"], env={"OPSNAP_CONFIG": str(path)})
    assert (result.exit_code, result.stderr) == (2, expected(path))


def test_brackets_without_end_are_a_mistake_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    path.write_text("x = " + "[" * 5000, encoding="utf-8")
    assert mistakes(path) == ["(file): not TOML: nested too deeply; expected a TOML file in UTF-8"]


def test_too_many_nodes_are_one_mistake_and_not_their_whole_list(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    node = '[[nodes]]\nid = "n{0}"\nlocation = "Place"\nurl = "http://n{0}.example/"\n'
    path.write_text(HEAD + "".join(node.format(i) for i in range(1001)), encoding="utf-8")
    assert mistakes(path) == ["nodes: 1001 items; expected 1000 items or fewer"]


def test_a_mistake_in_one_node_hides_no_slow_timeout_of_another(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    node = '[[nodes]]\nid = "{0}"\nlocation = "Place"\nurl = "http://{0}.example/"\n'
    path.write_text(
        HEAD + node.format("a") + "verify_tls = 1\n" + node.format("b") + "timeout_s = 12\n",
        encoding="utf-8",
    )
    assert mistakes(path) == [
        "nodes[0].verify_tls: 1; expected true or false",
        "nodes[1].timeout_s: 12; expected less than the tick's deadline (10 s)",
    ]


def test_a_mistake_in_the_schedule_makes_no_second_one_of_a_long_timeout(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    path.write_text(
        HEAD + '[schedule]\ninterval_s = "120"\ndeadline_s = 60\n'
        '[[nodes]]\nid = "a"\nlocation = "Place"\nurl = "http://a.example/"\ntimeout_s = 20\n',
        encoding="utf-8",
    )
    assert mistakes(path) == ['schedule.interval_s: "120"; expected a whole number']


def test_a_mistake_in_a_counter_does_not_hide_that_its_database_is_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "opsnap.toml"
    path.write_text(HEAD + "[state.counts]\nvideos = 5\n", encoding="utf-8")
    counter, database = mistakes(path)
    assert counter == "state.counts.videos: 5; expected a text in quotes"
    assert database == (
        "observed: the section is missing; "
        "expected [observed] with the url of the database for state.counts"
    )
