"""`[retention]`: what may be kept for how long, and how a mistake is told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from config import Config, ConfigError, load
from config.retention import Retention, kept_ms

HEAD = '[platform]\nname = "x"\n[store]\nurl = "sqlite:////var/lib/x.db"\nsource = "x"\n'
DAY_MS = 24 * 60 * 60 * 1000


def _load(tmp_path: Path, *lines: str) -> Config:
    path = tmp_path / "opsnap.toml"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return load(path, {})


def _refused(tmp_path: Path, *lines: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        _load(tmp_path, "[retention]", *lines)
    return [str(problem) for problem in error.value.problems]


def test_without_the_section_it_is_a_week_a_quarter_and_five_years(tmp_path: Path) -> None:
    retention = _load(tmp_path).retention
    days = (retention.snapshots_days, retention.five_minutes_days, retention.hours_days)
    assert days == (7, 90, 5 * 365 + 1)
    assert retention.max_mb is None


def test_every_tier_can_be_kept_for_ever_or_as_long_as_the_finer_one(tmp_path: Path) -> None:
    names = ("snapshots_days", "five_minutes_days", "hours_days")
    for days in ('"forever"', "1", "36500"):
        written = [f"{name} = {days}" for name in names]
        retention = _load(tmp_path, "[retention]", *written, "max_mb = 400").retention
        expected = "forever" if days == '"forever"' else int(days)
        assert [getattr(retention, name) for name in names] == [expected] * 3
        assert retention.max_mb == 400


def test_days_are_24_hours_and_for_ever_is_no_number() -> None:
    assert kept_ms(7) == 7 * DAY_MS
    assert kept_ms("forever") is None


@pytest.mark.parametrize("value", [0, -1, 36_501, 1.5, True, "7", "Forever", "", [7], {"days": 7}])
def test_anything_else_is_refused_with_one_sentence(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Retention(snapshots_days=value)
    (error,) = refused.value.errors()
    assert error["loc"] == ("snapshots_days",)
    expected = 'expected a whole number of days, 1 to 36500, or "forever"'
    assert error["msg"] == f"Value error, {expected}"


def test_a_finer_tier_for_ever_needs_the_coarser_ones_for_ever(tmp_path: Path) -> None:
    (told,) = _refused(tmp_path, 'snapshots_days = "forever"')
    found, expected = told.split("; ")
    assert found == "retention.five_minutes_days: 90 (the default)"
    assert expected == 'expected at least snapshots_days ("forever"), which is the finer tier'
    for_ever = ('snapshots_days = "forever"', 'five_minutes_days = "forever"')
    (told,) = _refused(tmp_path, *for_ever, "hours_days = 36500")
    found, expected = told.split("; ")
    assert found == "retention.hours_days: 36500"
    assert expected == 'expected at least five_minutes_days ("forever"), which is the finer tier'


def test_a_value_that_is_none_is_told_once_and_compared_with_nothing(tmp_path: Path) -> None:
    assert _refused(tmp_path, "five_minutes_days = 0", "hours_days = 3") == [
        'retention.five_minutes_days: 0; expected a whole number of days, 1 to 36500, or "forever"'
    ]
