"""What every section of the configuration has in common: strict types and no unknown keys."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A table of the TOML file. Types are strict, unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name):
        msg = "expected a plain column name: letters, digits and _"
        raise ValueError(msg)
    return name


def _table_name(name: str) -> str:
    if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_$]*\.)?[A-Za-z_][A-Za-z0-9_$]*", name):
        msg = 'expected a table name: letters, digits and _, or "schema.table"'
        raise ValueError(msg)
    return name


def _key(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        msg = "expected 1 to 64 letters, digits, _ or - (it is part of metric paths)"
        raise ValueError(msg)
    return name


ColumnName = Annotated[str, AfterValidator(_identifier)]
TableName = Annotated[str, AfterValidator(_table_name)]
Key = Annotated[str, AfterValidator(_key)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
SomeTexts = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
Sql = Annotated[str, Field(min_length=1, description="a SELECT that returns one number")]
