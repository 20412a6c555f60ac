"""Times in queries, against moments worked out with the standard library or by hand."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.history.times import is_relative, query_time_ms
from tests.support.properties import unhurried

NOW_MS = 1_795_169_610_250
#: 2026-11-20 10:13:30 UTC.
TICK_MS = 1_795_169_610_000
END_OF_9999_MS = 253_402_300_799_999

#: Texts that look like times for a while.
time_like = st.text(alphabet="0123456789-+:.TZW einow,smhd/\u0660\u00b2", max_size=32)


@pytest.mark.parametrize(
    ("text", "meant_ms"),
    [
        ("2026-11-20T10:13:30Z", TICK_MS),
        ("2026-11-20T10:13:30.000Z", TICK_MS),
        ("2026-11-20T10:13:30", TICK_MS),
        ("2026-11-20 10:13:30", TICK_MS),
        ("2026-11-20T12:13:30+02:00", TICK_MS),
        ("2026-11-20T12:13:30 02:00", TICK_MS),
        ("2026-11-20T12:13:30+0200", TICK_MS),
        ("2026-11-20T12:13:30 0200", TICK_MS),
        ("2026-11-20T15:43:30+05:30", TICK_MS),
        ("2026-11-20T05:13:30-05:00", TICK_MS),
        ("20261120T101330Z", TICK_MS),
        ("2026-11-20T10:13", TICK_MS - 30_000),
        ("2026-11-20 10:13", TICK_MS - 30_000),
        ("2026-11-20T10:13Z", TICK_MS - 30_000),
        ("2026-11-20", TICK_MS - (10 * 3600 + 13 * 60 + 30) * 1000),
        ("2026-11-20T10:13:30.250Z", NOW_MS),
        ("2026-11-20T10:13:30.250999Z", NOW_MS),
        ("1795169610", TICK_MS),
        ("1795169610.25", NOW_MS),
        ("1795169610.250", NOW_MS),
        ("0", 0),
        (" 1795169610 ", TICK_MS),
        ("now", NOW_MS),
        ("-90s", NOW_MS - 90_000),
        ("-15m", NOW_MS - 900_000),
        ("-6h", NOW_MS - 21_600_000),
        ("-7d", NOW_MS - 604_800_000),
        ("-2w", NOW_MS - 1_209_600_000),
        ("-0s", NOW_MS),
    ],
)
def test_a_time_is_understood(text: str, meant_ms: int) -> None:
    assert query_time_ms(text, NOW_MS) == meant_ms


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "+7d",
        "7d",
        "-7",
        "-7y",
        "-1.5h",
        "- 7d",
        "NaN",
        "inf",
        "1e9",
        "0x10",
        "1_000",
        "2026-13-01",
        "2026-02-30",
        "2026-11-20T25:00",
        "2026-11-20T10:13:30+25:00",
        "10:13",
        "now-7d",
        "1795169610000000000000",
        "2026-11-20T10:13:30Z; DROP TABLE snapshots",
        "\x00",
        "\ud800",
    ],
)
def test_what_is_no_time_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601, epoch seconds"):
        query_time_ms(text, NOW_MS)


def test_a_time_before_the_epoch_is_a_time_too() -> None:
    # ISO 8601 as good as any: nothing was recorded by then, which is for the store to say.
    assert query_time_ms("1969-12-31T23:59:59Z", NOW_MS) == -1000


@unhurried
@given(st.one_of(st.text(), time_like))
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
@example("0001-W01-1")
@example("9999-W53-7")
@example("-999999999w")
@example("9" * 400)
@example("1" * 12 + "." + "9" * 9)
@example("-" + "9" * 5000 + "s")
def test_garbage_is_a_moment_in_range_or_a_value_error(text: str) -> None:
    # ValueError's own kinds, such as UnicodeError, would be caught as well.
    with suppress(ValueError):
        found_ms = query_time_ms(text, NOW_MS)
        assert isinstance(found_ms, int)
        assert found_ms <= END_OF_9999_MS
    assert is_relative(text) in (True, False)


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))


@unhurried
@given(st.integers(10**9, END_OF_9999_MS - 10**9), offsets)
def test_any_iso_time_with_an_offset_is_understood_with_and_without_its_plus(
    meant_ms: int, offset: timezone
) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=meant_ms)
    at = at.astimezone(offset)
    text = at.isoformat()
    assert query_time_ms(text, NOW_MS) == meant_ms
    assert query_time_ms(text.replace("+", " "), NOW_MS) == meant_ms


@unhurried
@given(st.integers(0, 4_102_444_800_000))
@example(1_795_169_610_001)
@example(2_197_913_831_410)
def test_epoch_seconds_with_three_decimals_are_exact(at_ms: int) -> None:
    # The page's link to its own data is written this way: one millisecond less is another snapshot.
    assert query_time_ms(f"{at_ms // 1000}.{at_ms % 1000:03d}", NOW_MS) == at_ms
    assert query_time_ms(str(at_ms / 1000), NOW_MS) == at_ms


@unhurried
@given(st.integers(0, 999_999_999), st.sampled_from("smhdw"))
def test_a_relative_time_counts_back_from_now_and_never_before_the_epoch(n: int, unit: str) -> None:
    unit_s = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}[unit]
    assert query_time_ms(f"-{n}{unit}", NOW_MS) == max(0, NOW_MS - n * unit_s * 1000)
    assert is_relative(f"-{n}{unit}")


def test_only_now_and_counting_back_mean_another_moment_each_time() -> None:
    assert is_relative("now")
    assert is_relative(" -7d ")
    assert not is_relative("2026-11-20")
    assert not is_relative("1795169610")
    assert not is_relative("")
