"""A tick over 200 nodes of which 100 never answer: from its first probe to its commit."""

import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from bench.processes import BrokenBenchmarkError, output_of
from bench.table import Row
from bench.watched import watched

_LONGEST_S = 2.5
_TICKS = 5
_PLAIN, _TLS, _SILENT = 50, 50, 100


def measure(directory: Path) -> list[Row]:
    """Time ticks of the real recorder with every panel on; the probes' timeout is 2 s."""
    nodes = {"plain": _PLAIN, "tls": _TLS, "silent": _SILENT}
    with watched(directory, "many-nodes", interval_s=4, **nodes) as platform:
        ticks = json.loads(
            output_of("bench.timed_ticks", str(platform.config_path), str(_TICKS), "0")
        )
    for tick in ticks:
        _require_right(tick["document"])
    times_s = sorted(tick["wall_s"] for tick in ticks)
    rtts_ms = [
        node["rtt_ms"] for tick in ticks for node in tick["document"]["nodes"] if node["rtt_ms"]
    ]
    return [
        Row(
            "tick over 200 nodes, 100 of them silent (2 s)",
            f"{median(times_s):.2f} s",
            bound=f"<= {_LONGEST_S} s",
            is_met=median(times_s) <= _LONGEST_S,
            detail=f"{_TICKS} ticks, {times_s[0]:.2f} to {times_s[-1]:.2f} s; 50 answer over TLS; "
            f"nodes that take 20 ms show a median of {median(rtts_ms):.1f}",
        )
    ]


def _require_right(document: dict[str, Any]) -> None:
    """Raise unless each node was judged as what it is."""
    found = Counter((node["status"], node["reason"]) for node in document["nodes"])
    if found != {("ok", None): _PLAIN + _TLS, ("err", "timeout"): _SILENT}:
        raise BrokenBenchmarkError(f"the nodes were not judged right: {dict(found)}")
