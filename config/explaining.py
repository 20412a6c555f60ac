"""Saying what is wrong with a value in an operator's words: the key, what was found, expected."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from config.masking import masked
from config.schema import Config

_LONGEST_SHOWN_VALUE = 80
Location = tuple[int | str, ...]

#: By pydantic's type of error; the names in braces are of its context.
_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a table of names and values",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "int_from_float": "a whole number",
    "int_type": "a whole number",
    "less_than": "less than {lt:g}",
    "less_than_equal": "{le:.10g} or less",
    "literal_error": "{expected}",
    "string_too_long": "{max_length} characters or fewer",
    "string_too_short": "{min_length} or more characters",
    "string_type": "a text in quotes",
    "too_long": "{max_length} items or fewer",
    "too_short": "{min_length} or more items",
}


@dataclass(frozen=True)
class Problem:
    """One mistake in the file: where it stands, what was found, what was expected."""

    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.key}: {self.found}; {self.expected}"


def explain(details: ErrorDetails, raw: dict[str, Any]) -> Problem:
    """Return one of pydantic's errors, `loc` from the file's root, as a problem.

    `raw` is the file's tree before secrets were filled in: no secret is ever shown.
    """
    loc, kind = details["loc"], details["type"]
    if loc[-1] == "[key]":
        return Problem(dotted(loc[:-1]), shown(loc[-2]), _expectation(details))
    if kind == "missing":
        meaning = _field_at(loc).description
        return Problem(dotted(loc), "the key is missing", f"expected a value ({meaning})")
    if kind == "extra_forbidden":
        return Problem(dotted(loc), "unknown key", suggest(str(loc[-1]), _known_keys(loc[:-1])))
    is_long = kind == "too_long"
    found = f"{details['ctx']['actual_length']} items" if is_long else shown(value_at(raw, loc))
    return Problem(dotted(loc), found, _expectation(details))


def _expectation(details: ErrorDetails) -> str:
    loc, kind, message = details["loc"], details["type"], details["msg"]
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "model_type":
        return f"expected the table {_heading(loc, is_row=isinstance(loc[-1], int))} with its keys"
    if kind == "tuple_type" and _model_at(loc) is not None:
        return f"expected tables, each headed {_heading(loc, is_row=True)}"
    if kind == "tuple_type":
        return "expected a list of texts in [ ]"
    if kind in _EXPECTED:
        return "expected " + _EXPECTED[kind].format(**details.get("ctx", {}))
    return "expected: " + message[0].lower() + message[1:]


def suggest(word: str, known: Iterable[str]) -> str:
    """Return which words were expected, with the one that is most like `word`."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"expected one of {', '.join(known)}{hint}"


def shown(value: Any) -> str:
    """Return a value as TOML has it, without passwords, and cut to a line's length."""
    if isinstance(value, str) and re.search(r'["\\]', value) and "'" not in value:
        text = f"'{value}'" if value.isprintable() else json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool | str | list | dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    text = masked(text)
    return text if len(text) <= _LONGEST_SHOWN_VALUE else text[: _LONGEST_SHOWN_VALUE - 1] + "…"


def dotted(loc: Location) -> str:
    """Return a location as the key's name from the file's root."""
    text = ""
    for step in loc:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if re.fullmatch(r"[A-Za-z0-9_-]+", step) else json.dumps(step)
            text += f".{name}" if text else name
    return text


def value_at(raw: Any, loc: Location) -> Any:
    """Return the value at `loc`, or of the nearest table above it."""
    for step in loc:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            break
    return raw


def required_keys(section: str) -> list[str]:
    """Return the keys that a section of the file cannot do without."""
    model = _model_at((section,))
    return [name for name, f in model.model_fields.items() if f.is_required()] if model else []


def _heading(loc: Location, *, is_row: bool) -> str:
    name = ".".join(step for step in loc if isinstance(step, str))
    return f"[[{name}]]" if is_row else f"[{name}]"


def _known_keys(loc: Location) -> list[str]:
    model = _model_at(loc)
    return list(model.model_fields) if model else []


def _field_at(loc: Location) -> FieldInfo:
    model = _model_at(loc[:-1])
    return (model or Config).model_fields[str(loc[-1])]


def _model_at(loc: Location) -> type[BaseModel] | None:
    """Follow `loc` through the schema's types to the model that stands there, if one does."""
    here: Any = Config
    for step in loc:
        if isinstance(step, str):
            model = _model_in(here)
            if model is None or step not in model.model_fields:
                return None
            here = model.model_fields[step].annotation
    return _model_in(here)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)
