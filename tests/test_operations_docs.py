"""The documents say all that there is, and nothing that there is not."""

import ast
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest

from config import Config
from daemon.cycle import Cycle
from daemon.samplers import build_samplers
from opsnap import cli
from store.codec import decode
from store.reasons import REASONS
from tests.support.configuring import bottube_tree, load_tree
from tests.support.servers import RawServer, healthy
from web.app import create_app

PROJECT = Path(__file__).parents[1]
OPERATIONS = (PROJECT / "docs" / "OPERATIONS.md").read_text()
API = (PROJECT / "docs" / "API.md").read_text()
DOCUMENTS = [*sorted((PROJECT / "docs").glob("*.md")), PROJECT / "CONTRIBUTING.md"]
#: What an operator or a developer creates by following a document.
NOT_THERE_YET = {"daemon/samplers/providers.py", "tests/test_x.py"}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@pytest.fixture
def config(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> Iterator[Config]:
    """Every section configured, over sources that answer."""
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill"))
    with RawServer(healthy()) as node:
        tree = bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            log_path=log,
            node_urls=(node.url,),
            health_url=node.url,
        )
        yield load_tree(tmp_path / "opsnap.toml", tree)


def chapter(text: str, heading: str) -> str:
    """Return what stands under `heading` up to the next one of its level."""
    level = heading.partition(" ")[0]
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)"
    found = re.search(pattern, text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no chapter {heading}"
    return found[1]


def first_cells(text: str) -> set[str]:
    """Return what stands in backticks at the begin of table rows."""
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def test_every_reason_has_an_entry_in_the_runbook_and_every_entry_a_reason() -> None:
    runbook = chapter(OPERATIONS, "## Runbook: one entry for every reason")
    entries = re.findall(r"^### `(\w+)`$", runbook, re.MULTILINE)
    assert sorted(entries) == sorted(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_an_entry_says_what_it_means_where_to_look_and_what_to_do(reason: str) -> None:
    entry = chapter(OPERATIONS, f"### `{reason}`")
    assert re.findall(r"^- \*\*(\w+):\*\* \S", entry, re.MULTILINE) == ["Means", "Look", "Do"]


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_a_command_is_documented_with_its_options(name: str) -> None:
    commands = chapter(OPERATIONS, "## Commands")
    row = re.search(rf"^\| `opsnap {name}\b.*$", commands, re.MULTILINE)
    assert row is not None, f"opsnap {name} has no row"
    options = [option for parameter in cli.commands[name].params for option in parameter.opts]
    options = [option for option in options if option.startswith("--")]
    assert [option for option in options if option not in row[0]] == []


def test_the_options_of_every_command_are_documented_and_no_command_is_invented() -> None:
    commands = chapter(OPERATIONS, "## Commands")
    own = [option for p in cli.params if isinstance(p, click.Option) for option in p.opts]
    own += cli.context_settings["help_option_names"]
    assert set(own) - set(re.findall(r"--?[a-z][a-z-]*", commands)) == set()
    documented = {cell.split()[1] for cell in first_cells(commands)}
    assert documented == set(cli.commands)


def test_every_route_is_documented_and_every_documented_one_is_there(config: Config) -> None:
    rules = {rule.rule for rule in create_app(config).url_map.iter_rules()}
    assert first_cells(chapter(API, "## Routes")) == {re.sub(r"<\w+:", "<", r) for r in rules}


def test_every_category_of_errors_is_documented() -> None:
    sources = "\n".join(path.read_text() for path in (PROJECT / "web").glob("*.py"))
    raised = set(re.findall(r'RequestError\((\d+), "(\w+)"', sources))
    table = re.search(r"^_CATEGORIES = (\{.*\})$", sources, re.MULTILINE)
    assert table is not None
    raised |= {(str(status), name) for status, name in ast.literal_eval(table[1]).items()}
    rows = re.findall(r"^\| (\d+|other) \| `(\w+)`", chapter(API, "## Errors"), re.MULTILINE)
    assert len(raised) > 5
    assert set(rows) - {("other", "http_error")} == raised


def keys_of(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every value in a document, `nodes[].rtt_ms`, objects included."""
    if isinstance(value, dict):
        if path:
            yield path
        for key, inner in value.items():
            yield from keys_of(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, f"{path}[]")
    else:
        yield path


def generic(path: str, config: Config) -> str:
    """Return `path` with the names that a configuration or a platform gives as `<name>`."""
    counts = {"state": config.state, "pipeline": config.pipeline}
    section, _, key = path.partition(".")
    if (counted := counts.get(section)) is not None and key in counted.counts:
        return f"{section}.<count>"
    path = re.sub(r"^latency(_\w+)?\.", "latency*.", path)
    path = re.sub(r"^sections\.\w+", "sections.<section>", path)
    path = re.sub(r"^(sections\.<section>\.missing)\..*", r"\1", path)
    return re.sub(r"^outcomes\.[^.]+", "outcomes.<bucket>", path)


def test_every_key_of_the_document_is_documented_and_every_documented_one_is_there(
    config: Config,
) -> None:
    tick = Cycle(config, build_samplers(config)).run(1_000_000)
    assert tick is not None
    document = decode(tick.snapshot.document)
    found = {generic(path, config) for path in keys_of(document)}
    # Objects whose keys are explained one by one.
    found -= {"platform", "latency", "latency_admin", "state", "queue", "outcomes", "pipeline"}
    found -= {"nodes[]", "experiments[]", "sections", "sections.<section>", "outcomes.<bucket>"}
    documented = first_cells(chapter(API, "## The document, version 1"))
    documented -= {"partial", "stale", "error", "off"}  # states of a section
    assert documented == found


@each_document
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", document.read_text()):
        linked = (document.parent / target).resolve() if target else document
        assert linked.exists(), f"{document.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}


def slug(heading: str) -> str:
    """Return the anchor that a heading gets: small letters, no punctuation, `-` for a space."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each_document
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    rooms = "config|store|daemon|web|migrations|demo|tests|docs"
    named = set(re.findall(rf"`((?:{rooms})/[\w/.]*)`", document.read_text())) - NOT_THERE_YET
    assert [name for name in sorted(named) if not (PROJECT / name).exists()] == []


@each_document
def test_the_examples_of_a_document_are_in_their_language(document: Path) -> None:
    parsers: dict[str, Callable[[str], object]] = {
        "toml": tomllib.loads,
        "json": json.loads,
        "python": ast.parse,
    }
    fence = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
    for indent, language, body in fence.findall(document.read_text()):
        if language in parsers:
            parsers[language](dedent(body) if indent else body)
