"""Reading the TOML file: all its mistakes at once, each with key, value and expectation."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from config.crosschecks import contradictions
from config.explaining import Location, Problem, dotted, explain, required_keys, shown, suggest
from config.schema import Config
from config.secrets import MissingSecretError, expand
from config.service import Schedule


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
    # By key: a key whose secret is missing has one mistake, whatever else its value lacks.
    missing_secrets: dict[str, Problem] = {}
    expanded = _expand_tree(raw, (), environ, missing_secrets)
    problems: list[Problem] = []
    sections: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        if name not in expanded:
            if field.is_required():
                expected = f"expected [{name}] with {', '.join(required_keys(name))}"
                problems.append(Problem(name, "the section is missing", expected))
            continue
        adapter: TypeAdapter[Any] = TypeAdapter(_annotated(field.annotation, field.metadata))
        try:
            sections[name] = adapter.validate_python(expanded[name])
        except ValidationError as error:
            for details in _mistakes(error):
                details["loc"] = (name, *details["loc"])
                problems.append(explain(details, raw))
    problems += [
        Problem(name, "unknown section", suggest(name, Config.model_fields))
        for name in expanded
        if name not in Config.model_fields
    ]
    told = {problem.key for problem in problems} | missing_secrets.keys()
    schedule = sections.get("schedule") if "schedule" in raw else Schedule()
    problems += [
        Problem(key, found, expected)
        for key, found, expected in contradictions(raw, expanded, schedule)
        if key not in told
    ]
    problems = [
        *missing_secrets.values(),
        *(problem for problem in problems if problem.key not in missing_secrets),
    ]
    if problems:
        raise ConfigError(path, problems)
    return Config.model_construct(None, **sections)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        found, expected = error.strerror or str(error), "expected a readable TOML file"
    except RecursionError:
        found, expected = "not TOML: nested too deeply", "expected a TOML file in UTF-8"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        found, expected = f"not TOML: {error}", "expected a TOML file in UTF-8"
    raise ConfigError(path, [Problem("(file)", found, expected)])


def _annotated(annotation: Any, metadata: list[Any]) -> Any:
    """Put a field's own constraints back on its type, as the model would apply them."""
    return Annotated[annotation, *metadata] if metadata else annotation


def _expand_tree(
    value: Any, loc: Location, environ: Mapping[str, str], missing_secrets: dict[str, Problem]
) -> Any:
    if isinstance(value, dict):
        return {k: _expand_tree(v, (*loc, k), environ, missing_secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand_tree(v, (*loc, i), environ, missing_secrets) for i, v in enumerate(value)]
    if isinstance(value, str):
        try:
            return expand(value, environ)
        except MissingSecretError as error:
            key = dotted(loc)
            missing_secrets[key] = Problem(key, shown(value), str(error))
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
