"""The recorder as the watched application gets it: installed by itself, on Python 3.9 as well."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.rings import RingReader

_RECORDER = Path(__file__).parents[1] / "recorder"
_MODULES = sorted(_RECORDER.glob("*.py"))

_USE = """
import json, sys
known = set(sys.modules)
import opsnap_recorder
from opsnap_recorder import AsgiLatencyRecorder, LatencyRecorder
new = {name.partition(".")[0] for name in set(sys.modules) - known}
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/installed"}
response = LatencyRecorder(app, sys.argv[1])(environ, lambda *_: None)
parts = list(response)
response.close()
foreign = sorted(new - set(sys.stdlib_module_names))
print(json.dumps([opsnap_recorder.__version__, opsnap_recorder.__file__, foreign]))
"""


def test_it_installs_by_itself_into_an_empty_environment_and_records(tmp_path: Path) -> None:
    sources, environment, rings = (tmp_path / name for name in ("recorder", "env", "rings"))
    # A build leaves folders behind in the sources.
    shutil.copytree(_RECORDER, sources, ignore=shutil.ignore_patterns("__pycache__"))
    rings.mkdir()
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = str(environment / "bin" / "python")
    quiet = ("--quiet", "--disable-pip-version-check")
    _run(sys.executable, "-m", "pip", "--python", python, "install", *quiet, str(sources))
    shutil.rmtree(sources)
    version, file, foreign = json.loads(_run(python, "-I", "-c", _USE, str(rings)))
    assert version == "0.1.0"
    assert Path(file).is_relative_to(environment)
    assert foreign == ["opsnap_recorder"]
    assert RingReader(rings).paths() == ["/installed"]
    (installed,) = environment.glob("lib/*/site-packages/opsnap_recorder")
    assert {path.name for path in installed.glob("*.py")} == {path.name for path in _MODULES}


def _run(*command: str) -> str:
    ended = subprocess.run(
        command,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: path.name)
def test_its_modules_are_python_3_9(module: Path) -> None:
    tree = ast.parse(module.read_text(), feature_version=(3, 9))
    futures = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    # Python 3.9 knows no `int | None`: it must not evaluate the annotations that say it.
    annotations = [node for node in ast.walk(tree) if isinstance(node, (ast.arg, ast.AnnAssign))]
    assert futures == (["annotations"] if annotations else [])
    assert not [node for node in ast.walk(_without_annotations(tree)) if _is_union(node)]


def _without_annotations(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
    return tree


def _is_union(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and any(isinstance(part, ast.Constant) for part in (node.left, node.right))
    )
