"""The newest JSON against a bare Flask route with a body of the same size; 304 against 200."""

import json
import re
from pathlib import Path

from bench.processes import (
    BrokenBenchmarkError,
    free_port,
    output_of,
    running,
    wait_until_answering,
)
from bench.rates import API, Contestant, load, median_rate, median_ratio, rounds
from bench.table import Row
from bench.watched import Watched, watched

_LEAST_RATIO = 0.9
_LEAST_RATIO_304 = 1.0
_ROUNDS = 21
_SECONDS = 0.5


def measure(directory: Path) -> list[Row]:
    """Take a real snapshot and serve it; answers a second, in rounds of bare, 200 and 304."""
    with watched(directory, "newest-json", interval_s=30) as platform:
        body = take_snapshot(platform)
        body_file = platform.directory / "body.json"
        body_file.write_bytes(body)
        bare_config, bare_port = _on_another_port(platform.config_path)
        ours_log, bare_log = platform.directory / "web.log", platform.directory / "bare.log"
        with (
            running(ours_log, "opsnap", "--config", str(platform.config_path), "web") as ours,
            running(bare_log, "bench.bare_flask", str(bare_config), str(body_file)) as bare,
        ):
            wait_until_answering(ours, ours_log, platform.page_port, API)
            wait_until_answering(bare, bare_log, bare_port, API)
            told = load(platform.page_port, most=1)
            if told["body_bytes"] != len(body):
                raise BrokenBenchmarkError("the two bodies are not of the same size")
            bursts = rounds(
                [
                    Contestant("bare", bare.pid, bare_port),
                    Contestant("200", ours.pid, platform.page_port),
                    Contestant("304", ours.pid, platform.page_port, told["etag"]),
                ],
                count=_ROUNDS,
                seconds=_SECONDS,
            )
    ratio, detail = median_ratio(bursts["200"], bursts["bare"])
    ratio_304, detail_304 = median_ratio(bursts["304"], bursts["200"])
    return [
        Row(
            f"newest JSON ({len(body):,} bytes) / bare Flask route",
            median_rate(bursts["200"]),
            median_rate(bursts["bare"]),
            ratio,
            f">= {_LEAST_RATIO:.2f}",
            ratio >= _LEAST_RATIO,
            detail,
        ),
        Row(
            "304 answers / 200 answers",
            median_rate(bursts["304"]),
            median_rate(bursts["200"]),
            ratio_304,
            f">= {_LEAST_RATIO_304:.2f}",
            ratio_304 >= _LEAST_RATIO_304,
            detail_304,
        ),
    ]


def take_snapshot(platform: Watched) -> bytes:
    """Store one snapshot as an operator does and return its document's bytes."""
    document = output_of("opsnap", "--config", str(platform.config_path), "sample").rstrip(b"\n")
    sections = json.loads(document)["sections"]
    if wrong := [name for name, section in sections.items() if section["status"] != "ok"]:
        raise BrokenBenchmarkError(f"the snapshot is not whole: not ok: {', '.join(wrong)}")
    return document


def _on_another_port(config_path: Path) -> tuple[Path, int]:
    port = free_port()
    text = re.sub(r"(?m)(?<=^\[web\]\nport = )\d+$", str(port), config_path.read_text())
    path = config_path.with_name("bare.toml")
    path.write_text(text)
    return path, port
