"""Secrets that do not stand in the file: `${env:NAME}` and `${credential:NAME}` in any string.

A credential is a file of that name in the directory which systemd's `LoadCredential=` names in
`CREDENTIALS_DIRECTORY`; one newline at its end is not part of it.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_PLACEHOLDER = re.compile(r"\$\{(\w+):([^}]*)\}")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class MissingSecretError(LookupError):
    """A placeholder names something that is not there; the text says what was expected."""


def expand(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return `text` with its placeholders filled in.

    Raises MissingSecretError when a variable is unset or a credential cannot be read.
    """
    return _PLACEHOLDER.sub(lambda match: _look_up(match[1], match[2], environ), text)


def _look_up(kind: str, name: str, environ: Mapping[str, str]) -> str:
    if kind not in _LOOKUPS or not _NAME.fullmatch(name):
        msg = "expected a secret as ${env:NAME} or ${credential:NAME}"
        raise MissingSecretError(msg)
    return _LOOKUPS[kind](name, environ)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        msg = f"expected the environment variable {name} to be set"
        raise MissingSecretError(msg)
    return environ[name]


def _from_credential(name: str, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        msg = f"expected systemd's LoadCredential= to give {name} (CREDENTIALS_DIRECTORY is unset)"
        raise MissingSecretError(msg)
    try:
        return (Path(directory) / name).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"expected a readable systemd credential {name} ({cause})"
        raise MissingSecretError(msg) from None


_LOOKUPS: dict[str, Callable[[str, Mapping[str, str]], str]] = {
    "env": _from_environment,
    "credential": _from_credential,
}
