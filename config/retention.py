"""`[retention]`: how long the record is kept, the finer the shorter."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from config.section import Section

FOREVER: Literal["forever"] = "forever"
_DAY_MS = 86_400_000
_MOST_DAYS = 36_500
#: Lengths of time in the file, each at least as long as the one before it.
TIERS = ("snapshots_days", "five_minutes_days", "hours_days")


def are_days(value: Any) -> bool:
    """Say whether `value` can stand in the file for a length of time."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return bool(value == FOREVER or (is_number and 1 <= value <= _MOST_DAYS))


def _days(value: Any) -> Any:
    # One sentence for both kinds: the schema would tell of each that was not met.
    if not are_days(value):
        msg = f'expected a whole number of days, 1 to {_MOST_DAYS}, or "{FOREVER}"'
        raise ValueError(msg)
    return value


#: A number of days, or for ever.
Days = Annotated[int | Literal["forever"], BeforeValidator(_days)]


class Retention(Section):
    """`[retention]`: how long the record is kept, the finer the shorter.

    Nothing is deleted before its roll-up is stored. A tier that is coarser is kept at least as long
    as a finer one.
    """

    snapshots_days: Days = Field(
        7, description="how many days every snapshot is kept, with its histograms"
    )
    five_minutes_days: Days = Field(
        90,
        description="how many days roll-ups of 5 minutes are kept, and a document of each 5 "
        "minutes; at least `snapshots_days`",
    )
    hours_days: Days = Field(
        1826,
        description="how many days roll-ups of an hour and of a day are kept, and a document of "
        "each hour; at least `five_minutes_days`",
    )
    max_mb: int | None = Field(
        None,
        ge=1,
        le=100_000_000,
        description="how large the whole store may become, in millions of bytes; above it the "
        "oldest snapshots go first, then the oldest roll-ups of 5 minutes, then those of hours",
    )


def kept_ms(days: Days) -> int | None:
    """Return `days` in milliseconds, None for ever."""
    return None if days == FOREVER else days * _DAY_MS
