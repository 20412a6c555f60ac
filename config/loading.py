"""Reading the TOML file: all its mistakes at once, each with key, value and expectation."""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from config.crosschecks import contradictions
from config.masking import masked
from config.schema import Config
from config.secrets import MissingSecretError, expand

_LONGEST_SHOWN_VALUE = 80
Location = tuple[int | str, ...]


@dataclass(frozen=True)
class Problem:
    """One mistake in the file: where it stands, what was found, what was expected."""

    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.key}: {self.found}; {self.expected}"


class ConfigError(Exception):
    """The file cannot be used. `problems` holds every mistake; the text has one line for each."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path, self.problems = path, problems
        super().__init__("\n".join(f"{path}: {problem}" for problem in problems))


def load(path: Path | str, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and validate the configuration file at `path`.

    Placeholders for secrets are filled in from `environ` and from systemd credentials.
    Raises ConfigError with all mistakes of the file.
    """
    path = Path(path)
    raw = _read(path)
    problems: list[Problem] = []
    expanded = _expand_tree(raw, (), environ, problems)
    sections: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        if name not in expanded:
            if field.is_required():
                problems.append(Problem(name, "the section is missing", f"expected [{name}]"))
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(_annotated(field.annotation, field.metadata))
        try:
            sections[name] = adapter.validate_python(expanded[name])
        except ValidationError as error:
            problems += [_explain(details, (name,), raw) for details in _mistakes(error)]
    problems += [
        Problem(name, "unknown section", _suggest(name, Config.model_fields))
        for name in expanded.keys() - Config.model_fields.keys()
    ]
    problems += [
        Problem(key, found, expected) for key, found, expected in contradictions(expanded, sections)
    ]
    if problems:
        raise ConfigError(path, problems)
    return Config.model_construct(None, **sections)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        found, expected = error.strerror or str(error), "expected a readable TOML file"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found, expected = f"not TOML: {error}", "expected a TOML file in UTF-8"
    raise ConfigError(path, [Problem("(file)", found, expected)])


def _annotated(annotation: Any, metadata: list[Any]) -> Any:
    """Put a field's own constraints back on its type, as the model would apply them."""
    return Annotated[annotation, *metadata] if metadata else annotation


def _expand_tree(
    value: Any, loc: Location, environ: Mapping[str, str], problems: list[Problem]
) -> Any:
    if isinstance(value, dict):
        return {k: _expand_tree(v, (*loc, k), environ, problems) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand_tree(v, (*loc, i), environ, problems) for i, v in enumerate(value)]
    if isinstance(value, str):
        try:
            return expand(value, environ)
        except MissingSecretError as error:
            problems.append(Problem(_dotted(loc), _shown(value), str(error)))
    return value


def _mistakes(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors of `error`, without a list that is too short only for its bad items."""
    details = error.errors()
    return [
        one
        for one in details
        if one["type"] != "too_short"
        or not any(
            other is not one and other["loc"][: len(one["loc"])] == one["loc"] for other in details
        )
    ]


def _explain(details: ErrorDetails, prefix: Location, raw: dict[str, Any]) -> Problem:
    loc = prefix + tuple(details["loc"])
    key = _dotted(loc)
    if details["type"] == "missing":
        return Problem(key, "the key is missing", "expected a value")
    if details["type"] == "extra_forbidden":
        return Problem(key, "unknown key", _suggest(str(loc[-1]), _known_keys(loc[:-1])))
    if details["type"] in ("too_short", "string_too_short"):
        unit = "items" if details["type"] == "too_short" else "characters"
        expected = f"expected {details['ctx']['min_length']} or more {unit}"
        return Problem(key, _shown(_value_at(raw, loc)), expected)
    message = details["msg"].removeprefix("Value error, ")
    if message.startswith("Input should be "):
        message = "expected " + message.removeprefix("Input should be ")
    elif not message.startswith("expected"):
        message = "expected: " + message[0].lower() + message[1:]
    return Problem(key, _shown(_value_at(raw, loc)), message)


def _suggest(word: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"expected one of {', '.join(known)}{hint}"


def _known_keys(loc: Location) -> list[str]:
    """Follow `loc` through the schema's types to the model that stands there."""
    here: Any = Config
    for step in loc:
        if isinstance(step, str) and (model := _model_in(here)) is not None:
            here = model.model_fields[step].annotation
    model = _model_in(here)
    return list(model.model_fields) if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)


def _value_at(raw: Any, loc: Location) -> Any:
    """Return the value as the file has it, so that no filled-in secret is ever shown."""
    for step in loc:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            break
    return raw


def _shown(value: Any) -> str:
    text = masked(repr(value))
    return text if len(text) <= _LONGEST_SHOWN_VALUE else text[: _LONGEST_SHOWN_VALUE - 1] + "…"


def _dotted(loc: Location) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
