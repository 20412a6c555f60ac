"""`opsnap history`: what is printed, and what is said when the question is wrong."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations.upgrading import upgrade
from store.codec import encode
from store.engines import open_writer
from store.history.plain_text import number_text, printable, share_text, step_text
from store.history.sparkline import ASCII, BLOCKS, sparkline
from store.intervals import LatencyInterval
from store.rolling_up import roll_up
from store.writing import Snapshot, add_all
from tests.support.configuring import bottube_tree, write_config
from tests.support.processes import ROOT, run

START_MS = 1_709_164_800_000  # 2024-02-29T00:00:00Z
MINUTE_MS = 60_000
#: Three hours from midnight, a snapshot a minute, but for the half hour from 01:00.
TAKEN = [*range(60), *range(90, 180)]
PERIOD = ("--from", "2024-02-29", "--to", "2024-02-29T03:00Z")
HOSTILE = "evil\x1b[31m\r\nname"


def _snapshot(minute: int) -> Snapshot:
    """Half hour k has k and k + 1 in turns; a request as long as the minute's number in ms.

    From 00:30 to 01:00 there are no requests.
    """
    taken_at_ms = START_MS + minute * MINUTE_MS
    document = {
        "interval_s": 60,
        "nodes": [
            {"id": "a", "status": "ok", "rtt_ms": 41.25},
            {"id": "b", "status": "ok", "rtt_ms": 0.0625},
        ],
        "queue": {"queued": minute // 30 + minute % 2},
        "outcomes": {HOSTILE: {"ctr": 0.5}},
    }
    interval = LatencyInterval()
    if not 30 <= minute < 60:
        interval.histogram.record(1000 * (minute + 1), is_error=minute % 30 == 7)
        interval.note_time(taken_at_ms, taken_at_ms)
    return Snapshot("test", taken_at_ms, MINUTE_MS, encode(document), {"latency": interval})


def _fill(url: str) -> None:
    engine = open_writer(url)
    with engine.begin() as connection:
        add_all(connection, map(_snapshot, TAKEN))
    while roll_up(engine, "test", 100):
        pass
    engine.dispose()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration whose store has the three hours."""
    folder = tmp_path_factory.mktemp("history")
    url = f"sqlite:///{folder}/store.db"
    upgrade(url)
    _fill(url)
    return _config(folder, url)


def _config(folder: Path, url: str) -> Path:
    tree = bottube_tree(store_url=url, observed_url=f"sqlite:///{folder}/platform.db")
    return write_config(folder / "opsnap.toml", tree)


def _ask(
    config: Path, *arguments: str, columns: int = 80, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    environ = {"COLUMNS": str(columns), "PYTHONIOENCODING": encoding}
    return run("--config", config, "history", *arguments, environ=environ)


def _lines(config: Path, *arguments: str, **terminal: Any) -> list[str]:
    ended = _ask(config, *arguments, *PERIOD, **terminal)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def test_a_table_has_what_it_stands_on_a_line_of_bars_and_a_row_a_step(config: Path) -> None:
    assert _lines(config, "queue.queued", "--step", "30m") == [
        "queue.queued",
        "2024-02-29 00:00:00 UTC to 2024-02-29 03:00:00 UTC, in steps of 30m",
        "known of 83.3 % of that time; read from 5m and snapshots",
        "▁▂ ▅▇█  mean 0.5000 to 5.5000",
        "",
        "time (UTC)        min    mean  max  last  snapshots",
        "2024-02-29 00:00    0  0.5000    1     1         30",
        "2024-02-29 00:30    1  1.5000    2     2         30",
        "2024-02-29 01:00  no data",
        "2024-02-29 01:30    3  3.5000    4     4         30",
        "2024-02-29 02:00    4  4.5000    5     5         30",
        "2024-02-29 02:30    5  5.5000    6     6         30",
    ]


def test_percentiles_tell_idle_times_from_gaps(config: Path) -> None:
    assert _lines(config, "latency.p99", "--step", "15m")[3:] == [
        "▁▁    ▅▆▆▇██  ms 15 to 180",
        "",
        "time (UTC)         ms  requests  errors",
        "2024-02-29 00:00   15        15       1",
        "2024-02-29 00:15   30        15       0",
        "2024-02-29 00:30  no requests, 2 steps",
        "2024-02-29 01:00  no data, 2 steps",
        "2024-02-29 01:30  105        15       1",
        "2024-02-29 01:45  120        15       0",
        "2024-02-29 02:00  135        15       1",
        "2024-02-29 02:15  150        15       0",
        "2024-02-29 02:30  165        15       1",
        "2024-02-29 02:45  180        15       0",
    ]


def test_a_terminal_without_blocks_gets_other_bars(config: Path) -> None:
    lines = _lines(config, "queue.queued", "--step", "30m", encoding="ascii")
    assert lines[3] == "_. =*#  mean 0.5000 to 5.5000"
    assert "".join(lines).isascii()


@pytest.mark.parametrize("columns", [40, 50, 80, 200])
def test_nothing_is_wider_than_the_terminal(config: Path, columns: int) -> None:
    lines = _lines(config, "queue.queued", "latency.p50", "--step", "1m", columns=columns)
    assert max(map(len, lines)) <= columns
    headings = [line for line in lines if line.startswith("time (UTC)")]
    assert len(headings) == 2
    for word in ("mean", "max", "snapshots"):
        assert word in headings[0]
    assert ("last" in headings[0]) == (columns >= 50)


def test_a_long_series_fills_the_width_with_its_bars(config: Path) -> None:
    lines = _lines(config, "queue.queued", "--step", "1m", columns=60)
    line = next(line for line in lines if "  mean " in line)
    bars, _, scale = line.rpartition("  ")
    assert scale == "mean 0 to 6"
    # A sixth of the time is a gap; a cell that it only touches is none.
    assert len(line) == 60
    assert bars.count(" ") in (7, 8)
    assert (bars[0], bars[-1]) == ("▂", "█")


def test_a_star_gives_a_table_for_each(config: Path) -> None:
    lines = _lines(config, "nodes.*.rtt_ms", "--step", "3h")
    assert [line for line in lines if line.startswith("nodes.")] == [
        "nodes.a.rtt_ms",
        "nodes.b.rtt_ms",
    ]
    rows = [line.split() for line in lines if line.startswith("2024-02-29 00:00  ")]
    assert [row[2:] for row in rows] == [
        ["41.250", "41.250", "41.250", "41.250", "150"],
        ["0.0625", "0.0625", "0.0625", "0.0625", "150"],
    ]


def test_a_period_before_the_record_is_one_gap(config: Path) -> None:
    ended = _ask(config, "queue.queued", "--from", "2024-02-01", "--to", "2024-02-03")
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert lines[2].startswith("known of 0 % of that time")
    assert lines[3] == "nothing to draw"
    assert lines[-1].startswith("2024-02-01 00:00  no data, ")


def test_csv_has_a_row_for_each_step_of_each_series(config: Path) -> None:
    ended = _ask(config, "queue.queued", "latency.max", *PERIOD, "--step", "30m", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(ended.stdout)))
    assert len(found) == 12
    assert found[2] == {
        "time": "2024-02-29T01:00:00.000Z",
        "metric": "queue.queued",
        "mean": "",
        "min": "",
        "max": "",
        "last": "",
        "snapshots": "0",
        "value": "",
        "count": "",
        "errors": "",
    }
    assert [row["mean"] for row in found[:6]] == ["0.5", "1.5", "", "3.5", "4.5", "5.5"]
    assert [row["value"] for row in found[6:]] == ["30", "", "", "120", "150", "180"]
    assert [row["count"] for row in found[6:]] == ["30", "0", "", "30", "30", "30"]


def test_json_is_that_of_the_contract_on_both_engines(store_url: str, tmp_path: Path) -> None:
    _fill(store_url)
    config = _config(tmp_path, store_url)
    ended = _ask(config, "queue.queued", "latency.max", *PERIOD, "--step", "1h", "--format", "json")
    assert json.loads(ended.stdout) == {
        "ok": True,
        "source": "test",
        "from": "2024-02-29T00:00:00.000Z",
        "to": "2024-02-29T03:00:00.000Z",
        "step_s": 3600,
        "times": [f"2024-02-29T0{hour}:00:00.000Z" for hour in range(3)],
        "series": [
            {
                "metric": "queue.queued",
                "kind": "values",
                "tiers": ["1h", "5m", "snapshots"],
                "coverage": pytest.approx(150 / 180, abs=1e-6),
                "min": [0, 3, 4],
                "mean": [1, 3.5, 5],
                "max": [2, 4, 6],
                "last": [2, 4, 6],
                "snapshots": [60, 30, 60],
            },
            {
                "metric": "latency.max",
                "kind": "percentile",
                "tiers": ["1h", "5m", "snapshots"],
                "coverage": pytest.approx(150 / 180, abs=1e-6),
                "value": [30, 120, 180],
                "count": [30, 30, 60],
                "errors": [1, 1, 2],
            },
        ],
    }


@pytest.mark.parametrize("arguments", [(), ("--list",), ("queue.queued", "--list")], ids=str)
def test_what_can_be_asked_for_is_listed(config: Path, arguments: Sequence[str]) -> None:
    ended = _ask(config, *arguments)
    assert ended.returncode == 0
    percentiles = ("max", "p50", "p75", "p90", "p95", "p99", "p99.9")
    assert ended.stdout.splitlines() == [
        *(f"latency.{name}" for name in percentiles),
        "nodes.a.rtt_ms",
        "nodes.a.up",
        "nodes.b.rtt_ms",
        "nodes.b.up",
        "outcomes.evil\ufffd[31m\ufffd\ufffdname.ctr",
        "queue.queued",
    ]


def test_what_a_source_named_does_nothing_to_the_terminal(config: Path) -> None:
    lines = _lines(config, f"outcomes.{HOSTILE}.ctr", "--step", "3h")
    assert lines[0] == "outcomes.evil\ufffd[31m\ufffd\ufffdname.ctr"
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("asked", "near"),
    [("queue.queed", "queue.queued"), ("queued", "queue.queued"), ("latency.p98", "latency.p9")],
)
def test_an_unknown_name_is_an_error_that_names_what_is_near(
    config: Path, asked: str, near: str
) -> None:
    ended = _ask(config, "nodes.a.up", asked)
    assert ended.returncode == 2
    assert "METRIC" in ended.stderr
    assert asked in ended.stderr
    assert f"near: {near}" in " ".join(ended.stderr.split())
    assert ended.stdout == ""


def test_what_is_near_does_nothing_to_the_terminal(config: Path) -> None:
    ended = _ask(config, "evil")
    assert ended.returncode == 2
    assert "\x1b" not in ended.stderr
    assert "near: outcomes.evil\ufffd[31m\ufffd\ufffdname.ctr" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "yesterday"), "'--from': expected ISO 8601"),
        (("--to", "-3x"), "'--to': expected ISO 8601"),
        (("--from", "now", "--to", "-1h"), "'--from': expected a time before"),
        (("--step", "often"), "'--step': expected auto"),
        (("--step", "0"), "'--step': expected auto"),
        ((*PERIOD, "--step", "1s"), "'--step': a snapshot is taken every 60 s"),
        (("--from", "2000-01-01", "--step", "1h"), "points, more than 5000"),
        (("--format", "xml"), "'--format': 'xml' is not one of"),
    ],
    ids=str,
)
def test_a_bad_question_is_2_and_names_the_option(
    config: Path, arguments: Sequence[str], words: str
) -> None:
    ended = _ask(config, "queue.queued", *arguments)
    assert ended.returncode == 2
    assert words in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_store_that_cannot_be_read_is_1(tmp_path: Path) -> None:
    ended = _ask(_config(tmp_path, f"sqlite:///{tmp_path}/none.db"), "queue.queued")
    assert ended.returncode == 1
    assert "the store cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "none.db").exists()


def test_a_store_without_a_snapshot_has_nothing_to_list(sqlite_url: str, tmp_path: Path) -> None:
    config = _config(tmp_path, sqlite_url)
    ended = _ask(config)
    assert (ended.returncode, ended.stdout) == (0, "")
    ended = _ask(config, "queue.queued")
    assert ended.returncode == 2
    assert "no number of that name has been recorded" in ended.stderr


def test_a_terminal_of_its_own_gives_the_width(config: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = ("history", "queue.queued", "--step", "1m", *PERIOD)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        os.set_blocking(ours, True)
        subprocess.run(["stty", "cols", "44"], stdin=theirs, check=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "opsnap", "--config", str(config), *command],
            stdout=theirs,
            env={**environ, "PYTHONIOENCODING": "utf-8"},
            cwd=ROOT,
        )
        os.close(theirs)
        shown = _read_all(terminal)
        assert process.wait(20) == 0
    lines = shown.decode().splitlines()
    assert max(map(len, lines)) == 44
    assert "\x1b" not in shown.decode()


def _read_all(terminal: io.RawIOBase) -> bytes:
    shown = b""
    while True:
        try:
            read = terminal.read(4096)
        except OSError:  # how Linux says that the other side has gone
            return shown
        if not read:
            return shown
        shown += read


_VALUES = st.lists(st.none() | st.floats(-1e300, 1e300), max_size=60)


@given(values=_VALUES, width=st.integers(1, 80))
def test_a_line_of_bars_has_a_cell_for_each_value_or_each_column(
    values: list[float | None], width: int
) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set(BLOCKS) | {" "}
    if len(values) <= width:
        assert [bar == " " for bar in line] == [value is None for value in values]
    known = [value for value in values if value is not None]
    if known and min(known) < max(known):
        assert BLOCKS[-1] in line
    if known and len(values) <= width:
        assert line[values.index(min(known))] == BLOCKS[0]


@given(values=st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_bars_are_as_high_as_their_share(values: list[int]) -> None:
    line = sparkline([0, 7, *values], 80, ASCII)
    assert line == ASCII[0] + ASCII[-1] + "".join(ASCII[min(7, value * 8 // 7)] for value in values)


def test_numbers_are_told_to_five_digits_and_whole_ones_whole() -> None:
    told = {
        None: "-",
        0: "0",
        1_234_567.0: "1234567",
        0.04207: "0.0421",
        3.14159265: "3.1416",
        -41.23456: "-41.235",
        123456.7: "123457",
        0.000012345678: "1.2346e-05",
        1e300: "1e+300",
    }
    assert {value: number_text(value) for value in told} == told


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100 %"),
        (0.99999, "99.9 %"),
        (0.998, "99.8 %"),
        (0.29, "29 %"),
        (0.0001, "less than 0.1 %"),
        (0.0, "0 %"),
    ],
)
def test_only_the_whole_is_100_percent_and_only_nothing_is_0(share: float, text: str) -> None:
    assert share_text(share) == text


def test_a_step_is_told_as_it_is_asked_for() -> None:
    assert [step_text(ms) for ms in (1000, 90_000, 300_000, 7_200_000, 86_400_000)] == [
        "1s",
        "90s",
        "5m",
        "2h",
        "1d",
    ]


def test_a_name_that_the_terminal_does_not_have_gets_question_marks() -> None:
    assert printable("Ω 8 s · 720", "ascii") == "? 8 s ? 720"
