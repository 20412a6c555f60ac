"""`[retention]`: how long the record is kept, the finer the shorter."""

from typing import Annotated, Literal

from pydantic import Field

from config.section import Section

_DAY_MS = 86_400_000

#: A number of days, or for ever.
Days = Annotated[int, Field(ge=1, le=36_500)] | Literal["forever"]


class Retention(Section):
    """`[retention]`: how long the record is kept, the finer the shorter.

    Nothing is deleted before its roll-up is stored. A tier that is coarser is kept at least as long
    as a finer one.
    """

    snapshots_days: Days = Field(
        7, description="how many days every snapshot is kept, with its histograms, or `forever`"
    )
    five_minutes_days: Days = Field(
        90, description="how many days the roll-ups of 5 minutes are kept, or `forever`"
    )
    hours_days: Days = Field(
        1826,
        description="how many days the roll-ups of an hour and of a day are kept, or `forever`",
    )


def kept_ms(days: Days) -> int | None:
    """Return `days` in milliseconds, None for ever."""
    return None if days == "forever" else days * _DAY_MS
