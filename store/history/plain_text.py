"""Numbers, shares, steps and names as a person reads them in a terminal."""

import math

from store.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

_DIGITS = 5
_UNITS = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s"))
#: From here on floats have no fractions, and their digits would be made up.
_LARGE = 1e15


def number_text(value: float | None) -> str:
    """Return `value`: whole numbers whole, others to five digits; `-` for what is unknown."""
    if value is None:
        return "-"
    if not math.isfinite(value) or abs(value) >= _LARGE:
        return f"{value:.{_DIGITS}g}"
    if value == int(value):
        return str(int(value))
    if abs(value) < 1e-4:  # noqa: PLR2004 - where `g` begins to write powers of ten
        return f"{value:.{_DIGITS}g}"
    whole_digits = max(1, math.floor(math.log10(abs(value))) + 1)
    return f"{value:.{max(0, _DIGITS - whole_digits)}f}"


def share_text(share: float) -> str:
    """Return `share` (0 to 1) in percent, rounded down: only what is whole is 100 %."""
    per_mille = math.floor(share * 1000 + 1e-9)
    if share > 0 and per_mille == 0:
        return "less than 0.1 %"
    return f"{per_mille / 10:g} %"


def step_text(step_ms: int) -> str:
    """Return `step_ms` in the largest unit that it is a whole number of, as `--step` takes it."""
    unit_ms, name = next((ms, name) for ms, name in _UNITS if step_ms % ms == 0)
    return f"{step_ms // unit_ms}{name}"


def printable(text: str, encoding: str) -> str:
    """Return `text` without what a terminal would obey, or that `encoding` does not have."""
    shown = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return shown.encode(encoding, "replace").decode(encoding)
