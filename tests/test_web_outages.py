"""New snapshots come at once; a store that fails takes nothing from the page but its youth."""

import logging
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from migrations.upgrading import upgrade
from tests.support.documents import (
    INTERVAL_MS,
    full_document,
    iso,
    now_ms,
    small_document,
    store,
    store_text,
    this_tick_ms,
)
from tests.support.markup import parse
from tests.support.records import change
from tests.support.visitors import visitor_of
from tests.support.waiting import wait_for

#: The web app asks a store that failed again after 2 s.
PATIENCE_S = 8.0
NO_OBJECTS = ("", "no JSON", '{"ok": true, "taken_at": "2026-', "[]", "null")
#: JSON objects, but nobody's snapshots.
STRANGE_OBJECTS = (
    "{}",
    '{"interval_s": 0, "expires_at": "2026-11-20T10:15:00.000Z"}',
    '{"interval_s": 30, "expires_at": "never"}',
    '{"interval_s": "thirty", "expires_at": 1795169700}',
)


def serves(visitor: FlaskClient, taken_at_ms: int) -> Callable[[], bool]:
    """Return the condition that the newest snapshot is the one taken then."""

    def condition() -> bool:
        answer = visitor.get("/api/engineering")
        return answer.status_code == 200 and answer.get_json()["taken_at"] == iso(taken_at_ms)

    return condition


def remove(url: str) -> Callable[[], object]:
    """Take the store at `url` away under those who use it; the result puts it back."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        away = path.rename(path.with_suffix(".away"))
        return lambda: away.replace(path)
    server = parsed.set(drivername="postgresql", database="postgres")
    name, gone = parsed.database, f"{parsed.database}_gone"

    def rename(old: str | None, new: str | None) -> None:
        told = server.render_as_string(hide_password=False)
        with psycopg.connect(told, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [old]
            )
            connection.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"')

    rename(name, gone)
    return lambda: rename(gone, name)


def test_a_new_snapshot_is_served_within_a_second(store_url: str, tmp_path: Path) -> None:
    visitor = visitor_of(store_url, tmp_path)
    assert visitor.get("/api/engineering").status_code == 503
    first_ms = this_tick_ms() - 3 * INTERVAL_MS
    for taken_at_ms in (first_ms, first_ms + INTERVAL_MS, first_ms + 3 * INTERVAL_MS):
        document = small_document(taken_at_ms)
        store(store_url, document)
        wait_for(serves(visitor, taken_at_ms), "the new snapshot", timeout_s=1.0)
        page = parse(visitor.get("/engineering").text)
        assert document["generated_at"] in page.by_id("foot").text


def test_a_store_that_disappears_leaves_the_last_snapshot_which_then_turns_stale(
    store_url: str, tmp_path: Path
) -> None:
    taken_at_ms = this_tick_ms()
    expires_at_ms = now_ms() + 1500
    stored = store(store_url, full_document(taken_at_ms, expires_at=iso(expires_at_ms)))
    visitor = visitor_of(store_url, tmp_path)
    wait_for(serves(visitor, taken_at_ms), "the snapshot")
    put_back = remove(store_url)

    wait_for(lambda: now_ms() > expires_at_ms, "the snapshot to expire")
    assert visitor.get("/api/engineering").data == stored.encode()
    page = parse(visitor.get("/engineering").text)
    assert "is-shown" in page.by_id("banner").attributes["class"]
    assert "Out of date" in page.by_id("banner").text
    assert iso(taken_at_ms) == page.by_id("banner").all("time")[0].attributes["datetime"]
    assert "stale" in page.by_id("overall").attributes["class"]
    assert "41.2 ms" in page.by_id("panel-nodes").text
    assert visitor.get("/readyz").get_json() == {"ok": False, "error": "expired"}
    past = visitor.get("/api/engineering?at=now")
    assert (past.status_code, past.get_json()) == (
        503,
        {"ok": False, "error": "store_unavailable"},
    )

    put_back()
    later_ms = taken_at_ms + INTERVAL_MS
    store(store_url, full_document(later_ms))
    wait_for(serves(visitor, later_ms), "the snapshot after the outage", PATIENCE_S)
    assert parse(visitor.get("/engineering").text).by_id("banner").text == ""


def test_a_store_without_its_schema_is_no_fault_and_is_noticed_when_it_comes(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    visitor = visitor_of(url, tmp_path)
    assert visitor.get("/engineering").get_json() == {"ok": False, "error": "no_snapshot"}
    assert visitor.get("/engineering?at=now").status_code == 503
    upgrade(url)
    store(url, small_document(this_tick_ms()))
    wait_for(serves(visitor, this_tick_ms()), "the first snapshot", PATIENCE_S)


def test_a_file_that_is_overwritten_with_garbage_takes_nothing_away(
    sqlite_url: str, tmp_path: Path
) -> None:
    taken_at_ms = this_tick_ms()
    stored = store(sqlite_url, full_document(taken_at_ms))
    visitor = visitor_of(sqlite_url, tmp_path)
    assert visitor.get("/api/engineering").data == stored.encode()
    (tmp_path / "store.db").write_bytes(b"\x00garbage\xff" * 5000)

    def past_is_unavailable() -> bool:
        return visitor.get("/engineering?at=now").status_code == 503

    wait_for(past_is_unavailable, "the damage to be noticed")
    assert visitor.get("/api/engineering").data == stored.encode()
    assert visitor.get("/engineering").status_code == 200


def test_trouble_with_the_store_is_logged_when_it_begins_and_when_it_ends(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "opsnap.web")
    put_back = remove(sqlite_url)
    visitor = visitor_of(sqlite_url, tmp_path)
    for _ in range(30):
        assert visitor.get("/engineering").status_code == 503
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert told[0].startswith("store: broken")
    put_back()
    taken_at_ms = this_tick_ms()
    store(sqlite_url, small_document(taken_at_ms))
    wait_for(serves(visitor, taken_at_ms), "the store to mend", PATIENCE_S)
    assert [record.getMessage() for record in caplog.records] == [told[0], "store: mended"]


@pytest.mark.parametrize("text", [*NO_OBJECTS, *STRANGE_OBJECTS])
def test_a_newest_document_that_cannot_be_read_leaves_the_one_before_it(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    taken_at_ms = this_tick_ms() - INTERVAL_MS
    stored = store(sqlite_url, full_document(taken_at_ms))
    visitor = visitor_of(sqlite_url, tmp_path)
    assert visitor.get("/api/engineering").data == stored.encode()
    store_text(sqlite_url, text, taken_at_ms + INTERVAL_MS)

    def damage_is_noticed() -> bool:
        visitor.get("/api/engineering")
        return "store: broken" in caplog.text

    wait_for(damage_is_noticed, "the damage to be noticed", timeout_s=3)
    for path in ("/engineering", "/api/engineering", "/readyz"):
        assert visitor.get(path).status_code == 200, path
    assert visitor.get("/api/engineering").data == stored.encode()


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_a_document_of_the_past_that_cannot_be_read_is_unavailable_and_no_fault(
    sqlite_url: str, tmp_path: Path, text: str
) -> None:
    for answer in answers_over_a_past_of(sqlite_url, tmp_path, text):
        assert answer.status_code == 503
        assert answer.get_json() == {"ok": False, "error": "store_unavailable"}


@pytest.mark.parametrize("text", STRANGE_OBJECTS)
def test_a_document_of_the_past_that_is_strange_is_no_fault_either(
    sqlite_url: str, tmp_path: Path, text: str
) -> None:
    page, data = answers_over_a_past_of(sqlite_url, tmp_path, text)
    assert page.status_code == 503
    assert data.status_code in (200, 503)


def answers_over_a_past_of(url: str, directory: Path, text: str) -> list[TestResponse]:
    """Return page and document of a moment at which `text` is what the store has."""
    taken_at_ms = this_tick_ms()
    store_text(url, text, taken_at_ms - INTERVAL_MS)
    store(url, full_document(taken_at_ms))
    visitor = visitor_of(url, directory)
    at = iso(taken_at_ms - 1)
    return [visitor.get(f"{path}?at={at}") for path in ("/engineering", "/api/engineering")]


def test_a_store_that_begins_with_a_document_that_cannot_be_read_has_no_snapshot(
    sqlite_url: str, tmp_path: Path
) -> None:
    store_text(sqlite_url, "no JSON", this_tick_ms())
    answer = visitor_of(sqlite_url, tmp_path).get("/engineering")
    assert (answer.status_code, answer.get_json()) == (503, {"ok": False, "error": "no_snapshot"})


def test_a_record_that_begins_anew_replaces_the_old_one(sqlite_url: str, tmp_path: Path) -> None:
    taken_at_ms = this_tick_ms()
    store(sqlite_url, small_document(taken_at_ms))
    visitor = visitor_of(sqlite_url, tmp_path)
    assert serves(visitor, taken_at_ms)()
    change(sqlite_url, "DELETE FROM snapshots", "DELETE FROM sources")
    store(sqlite_url, small_document(taken_at_ms - INTERVAL_MS))
    wait_for(serves(visitor, taken_at_ms - INTERVAL_MS), "the new record's snapshot")
