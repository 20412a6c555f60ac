"""`opsnap export` as it is called: where it writes, what it says, and how it ends."""

import io
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from migrations.upgrading import upgrade
from store.codec import encode
from store.engines import open_reader, open_writer
from store.export.exporting import Exported, carry_out, plan
from store.forgetting import SNAPSHOTS, forget
from store.history.asking import Period
from store.rolling_up import roll_up
from store.times import HOUR_MS, iso_utc
from store.writing import Snapshot, add_all
from tests.support.configuring import bottube_tree, write_config
from tests.support.databases import PostgresServer
from tests.support.processes import ROOT, run, running
from tests.support.records import change
from tests.support.thinned_record import (
    END_MS,
    RAW_FROM_MS,
    SOURCE,
    START_MS,
    Taken,
    make,
    still_there,
)
from tests.support.waiting import wait_for

ALL = ("--from", iso_utc(START_MS), "--to", iso_utc(END_MS))
Stored = tuple[Path, list[Taken]]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A configuration, and what was ever taken into its store."""
    folder = tmp_path_factory.mktemp("export")
    url = f"sqlite:///{folder}/store.db"
    upgrade(url)
    return _config(folder, url), make(url)


@pytest.fixture
def config(sqlite_url: str, tmp_path: Path) -> Path:
    """A configuration of an empty store."""
    return _config(tmp_path, sqlite_url)


def _config(folder: Path, url: str) -> Path:
    tree = bottube_tree(store_url=url, observed_url=f"sqlite:///{folder}/platform.db")
    tree["store"]["source"] = SOURCE
    return write_config(folder / "opsnap.toml", tree)


def _export(config: Path, target: Path, *arguments: str) -> str:
    """Export to `target`, which has to end well, and return what was said of it."""
    ended = run("--config", config, "export", "--output", target, *arguments)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    return ended.stderr


def test_what_was_exported_is_said_and_where_snapshots_were_thinned_out(
    stored: Stored, tmp_path: Path
) -> None:
    config, record = stored
    said = _export(config, tmp_path / "a.ndjson", *ALL)
    left = still_there(record)
    thinned = [one for one in left if one.at_ms < RAW_FROM_MS]
    assert said == (
        f"{len(left)} rows, 2026-11-20 00:00:00 UTC to 2026-11-21 12:00:00 UTC,"
        f" of {len(left)} snapshots; {len(thinned)} of them, up to 2026-11-21 05:55:00 UTC,"
        " stand alone for 5 minutes or an hour: no more are kept\n"
    )
    lines = (tmp_path / "a.ndjson").read_text().split("\n")
    assert lines == [*(one.text for one in left), ""]
    recent = ("--from", iso_utc(RAW_FROM_MS), "--to", iso_utc(END_MS))
    assert "alone" not in _export(config, tmp_path / "a.ndjson", *recent)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_csv_and_parquet_are_of_numbers_unless_another_table_is_asked_for(
    stored: Stored, tmp_path: Path, file_format: str
) -> None:
    config, _ = stored
    _export(config, tmp_path / "a", *ALL, "--format", file_format)
    names = (
        (tmp_path / "a").read_text().partition("\n")[0].split(",")
        if file_format == "csv"
        else parquet.read_schema(tmp_path / "a").names
    )
    assert names == ["taken_at", "path", "value"]


def test_an_export_into_a_pipe_is_the_same_and_what_is_said_of_it_is_beside(
    stored: Stored, tmp_path: Path
) -> None:
    config, _ = stored
    _export(config, tmp_path / "a", *ALL)
    ended = run("--config", config, "export", *ALL)
    assert ended.returncode == 0
    assert ended.stdout == (tmp_path / "a").read_text()
    assert len(ended.stderr.splitlines()) == 1


def test_a_reader_that_has_seen_enough_ends_it_quietly(stored: Stored) -> None:
    config, record = stored
    command = (sys.executable, "-m", "opsnap", "--config", str(config), "export", *ALL)
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().decode() == record[0].text + "\n"
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(20) == 1


@pytest.mark.parametrize(
    ("file_format", "table", "content"),
    [
        ("ndjson", "snapshots", ""),
        ("csv", "numbers", "taken_at,path,value\n"),
        ("parquet", "latency", None),
    ],
)
def test_a_period_without_anything_gives_an_empty_file_and_says_so(
    config: Path, tmp_path: Path, file_format: str, table: str, content: str | None
) -> None:
    target = tmp_path / "a"
    said = _export(config, target, *ALL, "--table", table, "--format", file_format)
    assert said == "0 rows: nothing is stored of that period\n"
    if content is None:
        assert parquet.read_table(target).num_rows == 0
    else:
        assert target.read_text() == content


def test_a_file_takes_the_place_of_an_older_one_when_it_is_whole(
    stored: Stored, tmp_path: Path
) -> None:
    config, _ = stored
    target, link = tmp_path / "a.ndjson", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    _export(config, link, *ALL)
    assert link.is_symlink()
    assert len(target.read_text().splitlines()) > 100
    umask = os.umask(0o22)
    os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_snapshot_that_is_damaged_is_told_and_the_older_file_stays(
    tmp_path: Path, sqlite_url: str
) -> None:
    make(sqlite_url)
    config = _config(tmp_path, sqlite_url)
    hour_ms = START_MS + 3 * HOUR_MS
    change(
        sqlite_url, f"UPDATE kept_snapshots SET document = X'78787878' WHERE taken_at = {hour_ms}"
    )
    target = tmp_path / "a"
    target.write_text("old")
    ended = run("--config", config, "export", "--output", target, *ALL)
    assert ended.returncode == 1
    assert "the snapshot of 2026-11-20T03:00:00.000Z is damaged" in ended.stderr
    assert target.read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))
    after = ("--from", iso_utc(hour_ms + 1), "--to", iso_utc(END_MS))
    _export(config, target, *after)
    assert len(target.read_text().splitlines()) > 100


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_an_export_that_is_stopped_leaves_nothing_behind(
    postgres: PostgresServer, tmp_path: Path, number: signal.Signals
) -> None:
    url = postgres.new_database()
    upgrade(url)
    config, target = _config(tmp_path, url), tmp_path / "folder" / "a"
    target.parent.mkdir()
    target.write_text("old")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        # It waits for the lock, its file being open.
        connection.execute(text("LOCK TABLE snapshots IN ACCESS EXCLUSIVE MODE"))
        command = ("export", *ALL, "--output", str(target))
        with running(config, *command) as export:
            wait_for(lambda: len(list(target.parent.iterdir())) == 2, "a file that is not whole")
            assert export.seconds_to_end(number) < 4
            assert export.status() == {signal.SIGTERM: 143, signal.SIGINT: 1}[number]
            assert "Traceback" not in export.log
    assert [path.name for path in target.parent.iterdir()] == ["a"]
    assert target.read_text() == "old"


def _take(url: str, count: int) -> list[str]:
    """Store `count` snapshots, 30 s apart, and return their documents."""
    texts = [encode({"interval_s": 30, "queue": {"queued": n}}) for n in range(count)]
    engine = open_writer(url)
    with engine.begin() as connection:
        taken = (
            Snapshot(SOURCE, START_MS + n * 30_000, 30_000, texts[n], {}) for n in range(count)
        )
        add_all(connection, taken)
    engine.dispose()
    return texts


def _export_here(url: str, sink: io.BytesIO, on_page: Callable[[Exported], None]) -> Exported:
    reader = open_reader(url)
    planned = plan(SOURCE, Period(0, END_MS), "ndjson", None, None)
    exported = carry_out(reader, planned, sink, on_page)
    reader.dispose()
    return exported


def test_an_export_is_written_as_it_is_read_and_holds_nothing_meanwhile(sqlite_url: str) -> None:
    texts = _take(sqlite_url, 1300)
    sink, seen = io.BytesIO(), []

    def on_page(exported: Exported) -> None:
        sizes = [len(text) + 1 for text in texts[: exported.rows]]
        seen.append((exported.rows, sink.tell() == sum(sizes)))
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
            # 0: no reader and no writer was in the way of the whole log.
            assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0

    _export_here(sqlite_url, sink, on_page)
    assert seen == [(500, True), (1000, True), (1300, True)]


def test_what_is_thinned_out_during_an_export_is_in_it_once_or_was_too_late(
    store_url: str,
) -> None:
    # Ten hours and a half; the export has read 500 snapshots, 4 h 10 min, when all but the last
    # whole hour are reduced to the first of each 5 minutes.
    texts = _take(store_url, 1261)
    writer, sink = open_writer(store_url), io.BytesIO()

    def on_page(_: Exported) -> None:
        while roll_up(writer, SOURCE, 1000):
            pass
        while forget(writer, SOURCE, {SNAPSHOTS: HOUR_MS}, HOUR_MS):
            pass

    exported = _export_here(store_url, sink, on_page)
    writer.dispose()
    # An hour before 10:30 is 09:30: of whole hours that is up to 09:00, snapshot 1080.
    thinned = texts[500:1080:10]
    assert sink.getvalue().decode().split("\n")[:-1] == [*texts[:500], *thinned, *texts[1080:]]
    assert (exported.snapshots, exported.thinned) == (500 + 58 + 181, 58)


def test_progress_is_shown_on_a_terminal_alone(stored: Stored, tmp_path: Path) -> None:
    config, record = stored
    shown = _on_a_terminal("stderr", config, "--output", str(tmp_path / "a"), *ALL)
    first, *_, last = shown.split("\r\x1b[K")
    assert first == ""
    kept = len(still_there(record))
    assert f"{kept} rows, up to 2026-11-21 12:00:00 UTC …" in shown
    assert last.startswith(f"{kept} rows, 2026-11-20 00:00:00 UTC to")
    assert "\x1b" not in _export(config, tmp_path / "a", *ALL)


def test_parquet_is_not_written_to_a_terminal(stored: Stored) -> None:
    config, _ = stored
    shown = _on_a_terminal("stdout", config, "--format", "parquet", *ALL, status=2)
    assert shown == ""


def _on_a_terminal(stream: str, config: Path, *arguments: str, status: int = 0) -> str:
    """Export with `stream` of the process being a terminal, and return what was shown on it."""
    ours, theirs = pty.openpty()
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "opsnap", "--config", str(config), "export", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            **{**streams, stream: theirs},
        )
        os.close(theirs)
        shown = b""
        while read := _read_some(terminal):
            shown += read
        assert process.wait(20) == status
    return shown.decode()


def _read_some(terminal: io.RawIOBase) -> bytes | None:
    try:
        return terminal.read(4096)
    except OSError:  # how Linux says that the other side has gone
        return None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing option '--from'"),
        (("--from", "soon"), "'--from': expected ISO 8601"),
        (("--from", "now"), "'--from': expected a time before"),
        (("--from", "-1d", "--format", "xml"), "'--format': 'xml' is not one of"),
        (("--from", "-1d", "--table", "all"), "'--table': 'all' is not one of"),
        (("--from", "-1d", "--table", "rollups", "--tier", "6h"), "'--tier': expected 5m or 1h"),
        (("--from", "-1d", "--tier", "5m"), "'--tier': expected 5m or 1h or 1d of rollups"),
        (("--from", "-1d", "--output", "/"), "'--output': File '/' is a directory"),
    ],
    ids=str,
)
def test_a_bad_question_is_2_and_names_the_option(
    config: Path, arguments: Sequence[str], words: str
) -> None:
    ended = run("--config", config, "export", *arguments)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_store_or_a_folder_that_is_not_there_is_1(config: Path, tmp_path: Path) -> None:
    ended = run("--config", config, "export", *ALL, "--output", tmp_path / "none" / "a")
    assert ended.returncode == 1
    assert "No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr
    nowhere = _config(tmp_path, f"sqlite:///{tmp_path}/none.db")
    ended = run("--config", nowhere, "export", *ALL)
    assert ended.returncode == 1
    assert "the store cannot be used" in ended.stderr


def test_a_full_disk_is_told(stored: Stored) -> None:
    config, _ = stored
    ended = run("--config", config, "export", *ALL, "--output", "/dev/full")
    assert ended.returncode == 1
    assert "/dev/full: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert Path("/dev/full").is_char_device()


def test_without_pyarrow_it_is_said_what_to_install(config: Path, tmp_path: Path) -> None:
    # As Python documents it, None here makes an import fail as if there were no such package.
    code = "import sys; sys.modules['pyarrow'] = None; from opsnap import main; main()"
    arguments = ("--config", str(config), "export", *ALL, "--output", str(tmp_path / "a"))
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--format", "parquet"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ended.returncode == 2
    assert "install opsnap with its extra parquet" in " ".join(ended.stderr.split())
    assert not (tmp_path / "a").exists()
