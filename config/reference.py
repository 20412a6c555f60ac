"""The reference of the configuration: `python -m config.reference` prints docs/CONFIGURATION.md.

Everything about sections and keys comes from the schema; the introduction is in
`config.reference_introduction`.
"""

import inspect
import json
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from config.platform import DatabaseUrl, HttpUrl
from config.reference_introduction import CUSTOM_GROUPS, INTRODUCTION, LOG_EXAMPLES, LOG_FORMATS
from config.retention import Days
from config.schema import Config
from config.section import ColumnName, Key, TableName

_WORDS_BY_VALIDATOR = {
    get_args(alias)[1].func: words
    for alias, words in (
        (HttpUrl, "http:// or https:// address"),
        (DatabaseUrl, "database URL"),
        (Key, "name: 1 to 64 letters, digits, `_`, `-`"),
        (TableName, "table name, or `schema.table`"),
        (ColumnName, "column name"),
        (Days, 'whole number, 1 to 36500, or `"forever"`'),
    )
}
_WORDS_BY_TYPE = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def markdown() -> str:
    """Return the whole reference as Markdown, with a newline at its end."""
    parts = [INTRODUCTION.rstrip(), _log_formats(), "## Sections"]
    parts.append("\n".join(_overview()))
    for name, field in Config.model_fields.items():
        parts += _section(name, field)
    return "\n\n".join(parts) + "\n"


def _log_formats() -> str:
    parts = [LOG_FORMATS]
    for example in LOG_EXAMPLES:
        parts.append(f"### {example.title}")
        if example.setting:
            parts.append(f"```text\n{example.setting}\n```")
        else:
            parts += [f"```toml\n{_custom_log(example.format)}\n```", CUSTOM_GROUPS]
        parts.append(f"A line of it:\n\n```text\n{example.line}\n```")
    return "\n\n".join(parts)


def _custom_log(expression: str) -> str:
    path = "/var/log/bottube/access.log"
    return f"[[latency.access_logs]]\npath = \"{path}\"\nformat = '{expression}'"


def _overview() -> Iterator[str]:
    yield "| section | | |"
    yield "|---|---|---|"
    for name, field in Config.model_fields.items():
        model, is_list = _table_in(field)
        need = "**required**" if field.is_required() else "optional"
        yield f"| `{_heading(name, is_list=is_list)}` | {need} | {_meaning(model)} |"


def _section(name: str, field: FieldInfo, level: int = 2) -> Iterator[str]:
    model, is_list = _table_in(field)
    heading = _heading(name, is_list=is_list)
    yield f"{'#' * (level + 1)} `{heading}`"
    meaning = _meaning(model)
    is_name = meaning.startswith("opsnap")
    sentence = meaning if is_name else meaning[0].upper() + meaning[1:]
    yield f"{sentence}. {_need(field, is_list=is_list)}"
    yield "\n".join(_keys(name, model))
    for key, inner in model.model_fields.items():
        if _has_table(inner):
            yield from _section(f"{name}.{key}", inner, level + 1)


def _need(field: FieldInfo, *, is_list: bool) -> str:
    if isinstance(field.default, BaseModel):
        return "Optional; every key has a default."
    need = "Required" if field.is_required() else "Optional"
    return f"{need}; it may stand several times." if is_list else f"{need}."


def _keys(section: str, model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, field in model.model_fields.items():
        kind = _words(field.annotation, field.metadata, f"{section}.{key}")
        meaning = (field.description or "").replace("|", "\\|")
        yield f"| `{key}` | {kind} | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default in ((), {}):
        return "none"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _words(annotation: Any, metadata: list[Any], name: str) -> str:
    """Return a type in plain words. `name` is the key's, from the file's root."""
    annotation, metadata = _plain(annotation, metadata)
    for one in metadata:
        is_ours = isinstance(one, AfterValidator | BeforeValidator)
        if is_ours and one.func in _WORDS_BY_VALIDATOR:
            return _WORDS_BY_VALIDATOR[one.func]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"table `[{name}]`"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(f"`{json.dumps(value)}`" for value in arguments)
    if origin is dict:
        return f"table `[{name}]` of names and SQL texts"
    if origin is tuple:
        item, _ = _plain(arguments[0], [])
        is_table = isinstance(item, type) and issubclass(item, BaseModel)
        count = _range(metadata, "min_length", "max_length")
        what = f"tables `[[{name}]]`" if is_table else "list of texts"
        return f"{what}, {count}" if count else what
    length = _range(metadata, "min_length", "max_length")
    limits = f"{length} characters" if length else _range(metadata, "ge", "le", "gt")
    return f"{_WORDS_BY_TYPE[annotation]}, {limits}" if limits else _WORDS_BY_TYPE[annotation]


def _plain(annotation: Any, metadata: list[Any]) -> tuple[Any, list[Any]]:
    """Return a type without its `| None` and its annotations, and all of these.

    A type of several kinds stays: its validator has the words for it.
    """
    metadata = [part for one in metadata for part in getattr(one, "metadata", None) or [one]]
    if get_origin(annotation) is Annotated:
        inner, *outer = get_args(annotation)
        return _plain(inner, [*outer, *metadata])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [one for one in get_args(annotation) if one is not type(None)]
        if len(kinds) == 1:
            return _plain(kinds[0], metadata)
    return annotation, metadata


def _range(metadata: list[Any], least: str, most: str, above: str = "") -> str:
    low, high, beyond = (
        next((getattr(one, name) for one in metadata if hasattr(one, name)), None)
        for name in (least, most, above)
    )
    if low is not None and high is not None:
        return f"{low} to {high}"
    parts = [
        words.format(limit)
        for words, limit in (
            ("more than {}", beyond),
            ("{} or more", low),
            ("at most {}", high),
        )
        if limit is not None
    ]
    return ", ".join(parts)


def _has_table(field: FieldInfo) -> bool:
    annotation, _ = _plain(field.annotation, [])
    item = get_args(annotation)[0] if get_origin(annotation) is tuple else annotation
    return isinstance(item, type) and issubclass(item, BaseModel)


def _table_in(field: FieldInfo) -> tuple[type[BaseModel], bool]:
    """Return the model of a section, and whether there may be several of it."""
    annotation, _ = _plain(field.annotation, [])
    is_list = get_origin(annotation) is tuple
    return (get_args(annotation)[0] if is_list else annotation), is_list


def _heading(name: str, *, is_list: bool) -> str:
    return f"[[{name}]]" if is_list else f"[{name}]"


def _meaning(model: type[BaseModel]) -> str:
    text = " ".join((inspect.getdoc(model) or "").split())
    return text.partition("`: ")[2].removesuffix(".")


if __name__ == "__main__":
    sys.stdout.write(markdown())
