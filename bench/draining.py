"""From a million records in rings, and a million log lines, to the histograms of their classes."""

import json
import shutil
from pathlib import Path
from statistics import median
from typing import Any

from bench.latency_config import write_latency_config
from bench.log_lines import write_lines
from bench.processes import BrokenBenchmarkError, output_of
from bench.table import Row

_COUNT = 1_000_000
_RINGS, _SLOTS = 64, 16_384
_MOST_US_A_RECORD = 5.0
_MOST_US_A_LINE = 10.0
_FORMATS = ("gunicorn", "nginx", "json")
_FIRST_LINES = 1000
_RUNS = 3


def measure(directory: Path) -> list[Row]:
    """Drain each several times, from the first start of a daemon, and compare the counts."""
    own = directory / "draining"
    own.mkdir()
    return [_rings_row(own / "rings"), *(_log_row(own / name, name) for name in _FORMATS)]


def _rings_row(own: Path) -> Row:
    rings = own / "rings"
    rings.mkdir(parents=True)
    written = json.loads(
        output_of("bench.ring_files", str(rings), str(_RINGS), str(_COUNT // _RINGS), str(_SLOTS))
    )
    config = write_latency_config(own, rings=rings)
    drains = [_drain(written, config) for _ in range(_RUNS)]
    shutil.rmtree(own)
    return _row("draining a record of a ring", drains, _MOST_US_A_RECORD, f"{_RINGS} rings")


def _log_row(own: Path, log_format: str) -> Row:
    """Return the row of a format; the lines come after the first look at the log."""
    own.mkdir()
    log, lines = own / "access.log", own / "lines"
    written = json.loads(output_of("bench.log_lines", log_format, str(lines), str(_COUNT)))
    config = write_latency_config(own, log=log, log_format=log_format)
    drains = []
    for _ in range(_RUNS):
        log.unlink(missing_ok=True)
        write_lines(log_format, log, _FIRST_LINES)
        drains.append(_drain(written, config, lines))
    size = lines.stat().st_size / _COUNT
    shutil.rmtree(own)
    figure, detail = f"draining a line of a log, {log_format}", f"{size:.0f} bytes a line"
    return _row(figure, drains, _MOST_US_A_LINE, detail)


def _drain(written: dict[str, int], *arguments: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(output_of("bench.timed_drain", *map(str, arguments)))
    if told["counts"] != written or any(told["lost"] + told["unparsed"]):
        raise BrokenBenchmarkError(f"{written} were written, this was counted: {told}")
    return told


def _row(figure: str, drains: list[dict[str, Any]], bound_us: float, detail: str) -> Row:
    walls_us, cpus_us = (
        sorted(1e6 * one[name] / _COUNT for one in drains) for name in ("wall_s", "cpu_s")
    )
    wall_us = median(walls_us)
    return Row(
        figure,
        f"{wall_us:.2f} µs",
        bound=f"<= {bound_us:g} µs",
        is_met=wall_us <= bound_us,
        detail=f"{len(drains)} times {_COUNT:,}, {walls_us[0]:.2f} to {walls_us[-1]:.2f} µs, "
        f"CPU {median(cpus_us):.2f}; {detail}; every one counted; "
        f"{max(one['peak_mb'] for one in drains):.0f} MB at most",
    )
