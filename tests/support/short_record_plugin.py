"""The fixture `record` for modules that say `pytest_plugins`: made once in each engine."""

from collections.abc import Callable
from functools import cache

import pytest

from migrations.upgrading import upgrade
from tests.support.short_record import ShortRecord, short_record


@pytest.fixture(scope="session")
def record_in(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ShortRecord]:
    """The record of half a day in all tiers, by engine. Nobody writes to it."""

    @cache
    def made(engine: str) -> ShortRecord:
        directory = tmp_path_factory.mktemp("short")
        if engine == "sqlite":
            url = f"sqlite:///{directory}/store.db"
        else:
            url = request.getfixturevalue("postgres").new_database()
        upgrade(url)
        return short_record(url, directory)

    return made


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def record(request: pytest.FixtureRequest, record_in: Callable[[str], ShortRecord]) -> ShortRecord:
    """The record in each engine."""
    return record_in(request.param)
