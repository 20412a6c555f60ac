"""Parameters of the history's routes: known ones alone, each told once, each of what was expected.

A parameter that is misspelt would otherwise ask for something else than was meant, unnoticed.
"""

from collections.abc import Sequence

from flask import Request

from store.history.asking import Period, QueryError, period_of
from store.history.times import is_relative, query_time_ms
from web.errors import RequestError

_LONGEST = 1000


class Parameters:
    """The parameters of one request. Every method raises RequestError 400 for a bad one."""

    def __init__(
        self, request: Request, single: Sequence[str], several: Sequence[str] = ()
    ) -> None:
        """Take those of `request`: each of `single` at most once, of `several` any number."""
        known = (*several, *single)
        if any(name not in known for name in request.args):
            names = f"only {', '.join(known)}" if known else "no parameters"
            raise bad_parameter("query", f"expected {names}")
        self._told = {name: request.args.getlist(name) for name in known}
        for name, values in self._told.items():
            if name in single and len(values) > 1:
                raise bad_parameter(name, "expected one value")
            if any("\0" in value or len(value) > _LONGEST for value in values):
                raise bad_parameter(name, f"expected a text of at most {_LONGEST} characters")

    def several(self, name: str, most: int) -> list[str]:
        """Return the values of `name`, each once: at least one of them, at most `most`."""
        values = list(dict.fromkeys(self._told[name]))
        if not 0 < len(values) <= most:
            raise bad_parameter(name, f"expected one to {most} of them")
        return values

    def required(self, name: str) -> str:
        """Return the value of `name`."""
        return self.several(name, 1)[0]

    def text(self, name: str, default: str) -> str:
        """Return the value of `name`."""
        value = self._first(name)
        return default if value is None else value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return the value of `name`, one of `choices`, of which the first is the default."""
        value = self.text(name, choices[0])
        if value not in choices:
            raise bad_parameter(name, f"expected {' or '.join(choices)}")
        return value

    def whole(self, name: str, default: int, highest: int) -> int:
        """Return the value of `name`, a whole number from 1 to `highest`."""
        value = self.text(name, str(default))
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(highest))
        if not is_number or not 1 <= int(value) <= highest:
            raise bad_parameter(name, f"expected a whole number, 1 to {highest}")
        return int(value)

    def moment_ms(self, name: str, default: str, now_ms: int) -> int:
        """Return the time `name` in Unix milliseconds."""
        try:
            return query_time_ms(self.text(name, default), now_ms)
        except ValueError as error:
            raise bad_parameter(name, str(error)) from None

    def period(self, since: str, now_ms: int) -> Period:
        """Return the period from `from`, by default `since`, to `to`, by default the present."""
        try:
            return period_of(self.text("from", since), self.text("to", "now"), now_ms)
        except QueryError as error:
            raise bad_parameter(error.parameter, error.expected) from None

    def are_absolute(self, *names: str) -> bool:
        """Say whether the times `names` are told, and mean the same whenever they are asked."""
        return all(value and not is_relative(value) for value in map(self._first, names))

    def _first(self, name: str) -> str | None:
        return next(iter(self._told[name]), None)


def bad_parameter(name: str, expected: str) -> RequestError:
    """Return the error that says what was expected of parameter `name`."""
    return RequestError(400, "bad_parameter", f"{name}: {expected}")
