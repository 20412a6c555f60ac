"""docs/CONFIGURATION.md: it is what the generator prints, complete, and its examples work."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from config import Config, ConfigError, load
from config.reference import markdown
from config.reference_introduction import LOG_EXAMPLES, LogExample
from daemon.access_log.formats import parser
from daemon.requests import Request

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "CONFIGURATION.md"
#: 2026-11-20T10:13:30Z, by `date --date=… +%s`.
ENDED_AT_MS = 1_795_169_610_000


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def keys_of(model: type[BaseModel], section: str) -> Iterator[tuple[str, str, str | None]]:
    """Yield section, key and description of every key, those of tables within tables too."""
    for key, field in model.model_fields.items():
        yield section, key, field.description
        for inner in models_in(field.annotation):
            yield from keys_of(inner, f"{section}.{key}")


def documented() -> dict[str, dict[str, list[str]]]:
    """Return the page's tables: by section and key the cells type, default and meaning."""
    tables: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"#+ `\[+([a-z_.]+)\]+`", line):
            section = heading[1]
            tables[section] = {}
        elif section and (
            row := re.fullmatch(r"\| `([a-z0-9_]+)` \| (.+) \| (.+) \| (.+) \|", line)
        ):
            tables[section][row[1]] = [row[2], row[3], row[4]]
    return tables


def schema_keys() -> list[tuple[str, str, str | None]]:
    return [
        row
        for name, field in Config.model_fields.items()
        for model in models_in(field.annotation)
        for row in keys_of(model, name)
    ]


def test_the_page_is_exactly_what_the_generator_prints() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "config.reference"],
        cwd=ROOT,
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout
    # `make docs` writes it anew.
    assert PAGE.read_bytes() == printed
    assert markdown().encode() == printed


def test_every_section_and_every_key_is_on_the_page_with_its_meaning() -> None:
    tables = documented()
    keys = schema_keys()
    assert len(keys) >= 75
    assert {section: list(table) for section, table in tables.items()} == {
        section: [key for where, key, _ in keys if where == section]
        for section in dict.fromkeys(section for section, _, _ in keys)
    }
    for section, key, description in keys:
        assert description, f"{section}.{key} has no description"
        assert tables[section][key][2] == description


def test_sections_stand_in_the_order_of_the_schema() -> None:
    outer = [section for section in documented() if "." not in section]
    assert outer == list(Config.model_fields)


@pytest.mark.parametrize(
    ("section", "key", "kind", "default"),
    [
        ("platform", "name", "text, 1 to 500 characters", "**required**"),
        ("platform", "health_url", "http:// or https:// address", "none"),
        ("store", "url", "database URL", "**required**"),
        ("store", "source", "name: 1 to 64 letters, digits, `_`, `-`", "**required**"),
        ("schedule", "interval_s", "whole number, 1 to 3600", "`30`"),
        ("web", "port", "whole number, 0 to 65535", "`8098`"),
        ("web", "host", "text, 1 or more characters", '`"127.0.0.1"`'),
        ("observed", "query_timeout_s", "number, more than 0, at most 300", "`5.0`"),
        (
            "observed",
            "times",
            'one of `"epoch_s"`, `"epoch_ms"`, `"datetime"`',
            '`"epoch_s"`',
        ),
        ("latency", "access_logs", "tables `[[latency.access_logs]]`", "none"),
        ("latency", "classes", "tables `[[latency.classes]]`, 1 or more", "**required**"),
        ("latency.classes", "include", "list of texts", "none"),
        ("nodes", "verify_tls", "true or false", "`true`"),
        ("nodes", "warn_ms", "number, more than 0", "`800`"),
        ("state", "counts", "table `[state.counts]` of names and SQL texts", "none"),
        ("queue", "table", "table name, or `schema.table`", "**required**"),
        ("queue", "status_column", "column name", '`"status"`'),
        ("queue", "queued", "list of texts, 1 or more", "**required**"),
        ("experiments", "exclude_variant_prefixes", "list of texts", '`["feed:"]`'),
        ("pipeline", "encode", "table `[pipeline.encode]`", "none"),
    ],
)
def test_a_keys_type_and_default_are_told_in_plain_words(
    section: str, key: str, kind: str, default: str
) -> None:
    assert documented()[section][key][:2] == [kind, default]


def test_required_on_the_page_is_required_by_the_loader(tmp_path: Path) -> None:
    # Situation: every table of the page stands in the file, and every one of them is empty.
    path = tmp_path / "opsnap.toml"
    tables = documented()
    lists = {"nodes", "latency.access_logs", "latency.classes"}
    path.write_text(
        "".join(f"[[{name}]]\n" if name in lists else f"[{name}]\n" for name in tables),
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    missing = {one.key.replace("[0]", "") for one in refused.value.problems if "key" in one.found}
    required = {
        f"{section}.{key}"
        for section, table in tables.items()
        for key, (_, default, _) in table.items()
        if default == "**required**"
    }
    # The lists of the latency section are there, each with one empty table.
    assert missing == required - {"latency.classes"}


def test_the_shortest_file_on_the_page_loads(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    shortest, *_ = blocks("toml")
    path.write_text(shortest, encoding="utf-8")
    config = load(path, {})
    assert (config.platform.name, config.store.source) == ("BoTTube", "bottube-1")
    assert [node.url for node in config.nodes] == ["https://node-1.example/health"]


def test_the_messages_on_the_page_are_those_of_the_loader(tmp_path: Path) -> None:
    path = tmp_path / "opsnap.toml"
    shortest, *_ = blocks("toml")
    path.write_text(
        shortest + '[schedule]\ninterval_s = "30"\n[web]\nport = 70000\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError) as refused:
        load(path, {})
    assert f"{refused.value}\n".replace(str(path), "/etc/opsnap/opsnap.toml") in blocks("text")


@pytest.mark.parametrize("example", LOG_EXAMPLES, ids=lambda example: example.title.split(":")[0])
def test_the_lines_of_access_logs_on_the_page_are_understood(example: LogExample) -> None:
    assert f"{example.line}\n" in blocks("text")
    (line,) = [line for line in blocks("text") if line == f"{example.line}\n"]
    duration_us = {"gunicorn": 8412, "nginx": 8000, "json": 8000}.get(example.format, 8400)
    request = parser(example.format)(line.rstrip("\n"))
    assert request == Request(ENDED_AT_MS, duration_us, 200, "/api/feed")


def test_the_custom_format_on_the_page_is_the_one_that_its_line_is_for() -> None:
    (custom,) = [tree for tree in map(tomllib.loads, blocks("toml")) if "latency" in tree]
    (log,) = custom["latency"]["access_logs"]
    assert log["format"] == LOG_EXAMPLES[-1].format
