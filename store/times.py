"""Times as the record keeps them: integer milliseconds since the Unix epoch, written as UTC."""

from datetime import UTC, datetime, timedelta

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso_utc(at_ms: int) -> str:
    """Return `at_ms` (Unix milliseconds) as ISO 8601 in UTC: `2026-11-20T10:13:30.000Z`."""
    return moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain_utc(at_ms: int) -> str:
    """Return `at_ms` (Unix milliseconds) for people: `2026-11-20 10:13:30 UTC`."""
    return moment(at_ms).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment(at_ms: int) -> datetime:
    """Return `at_ms` (Unix milliseconds) as an aware datetime, without rounding."""
    return _EPOCH + timedelta(milliseconds=at_ms)


def parse_iso_ms(text: str) -> int:
    """Return ISO 8601 `text` as Unix milliseconds; a time without an offset is UTC.

    Raises ValueError for anything else, and OverflowError never: the year is 1 to 9999.
    """
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - _EPOCH) // timedelta(milliseconds=1)
