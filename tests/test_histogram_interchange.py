"""What the store keeps of a latency class can be read by another implementation of HdrHistogram.

Known durations go through the daemon into the store. Their histograms are decoded there by
`hdr-histogram-js` under Node.js, here by the Python package; NumPy has the durations themselves.
"""

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from tests.support.latency_totals import latency_tree, watching
from tests.support.records import rows
from tests.support.skipping import skip_unless_ci
from tests.support.waiting import wait_for

_DECODER = Path(__file__).parent / "hdr_js" / "decode.js"
#: The same as in decode.js; of the last, the highest, both tell the end of its bucket.
_PERCENTILES = (50, 90, 95, 99, 99.9, 100)
#: For NumPy, whose 99.9 / 100 is a little more than 0.999, and a rank too high then.
_QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
_HOUR_US = 3_600_000_000
_DICE = np.random.default_rng(20261120)

#: Durations in microseconds, by the end of their class's key.
_DURATIONS_US: dict[str, np.ndarray[Any, np.dtype[np.int64]]] = {
    "one": np.array([41_234]),
    "two": np.array([3, 90_000_000]),
    "few_slow": np.array([8_000] * 158 + [486_000, 500_000]),
    "equal": np.full(1000, 12_345),
    "shortest": np.ones(10, np.int64),
    "longest": np.array([1, _HOUR_US - 1, _HOUR_US]),
    "usual": _DICE.lognormal(np.log(20_000), 0.7, 5000).astype(np.int64) + 1,
    "all_magnitudes": (10 ** _DICE.uniform(0, np.log10(_HOUR_US), 5000)).astype(np.int64),
}


@pytest.fixture
def node() -> str:
    """Node.js, where its package is installed."""
    found = shutil.which("node")
    if found is None:
        skip_unless_ci("Node.js is not there to decode histograms")
    if not _DECODER.with_name("node_modules").is_dir():
        skip_unless_ci("hdr-histogram-js is not installed: npm ci --prefix tests/hdr_js")
    return found


def test_another_implementation_decodes_the_stored_histograms_to_the_same_percentiles(
    tmp_path: Path, sqlite_url: str, node: str
) -> None:
    encoded = _stored_by_the_daemon(tmp_path, sqlite_url)
    lines = "\n".join(" ".join(text for text, _ in encoded[name]) for name in _DURATIONS_US)
    done = subprocess.run(
        [node, str(_DECODER)], input=lines, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    decoded = json.loads(done.stdout)
    for (name, durations_us), told in zip(_DURATIONS_US.items(), decoded, strict=True):
        assert told["counts"] == [count for _, count in encoded[name]], name
        assert told["total"] == len(durations_us), name
        assert told["percentiles"] == _in_python([text for text, _ in encoded[name]]), name
        exact_us = np.quantile(durations_us, _QUANTILES, method="inverted_cdf")
        np.testing.assert_allclose(told["percentiles"], exact_us, rtol=0.001, err_msg=name)
        np.testing.assert_allclose(told["lowest"], durations_us.min(), rtol=0.001, err_msg=name)


def _stored_by_the_daemon(directory: Path, url: str) -> dict[str, list[tuple[str, int]]]:
    """Let a daemon count all durations from a log; return base64 and count of each class's rows."""
    log = directory / "access.log"
    log.touch()
    tree = latency_tree(url, access_log=log)
    tree["latency"]["classes"] = [
        {"key": f"latency_{name}", "title": name, "include": [f"/{name}/"]}
        for name in _DURATIONS_US
    ]
    with watching(directory, tree):
        with log.open("a") as file:
            for name, durations_us in _DURATIONS_US.items():
                file.writelines(_line(f"/{name}/x", us) for us in durations_us)
        expected = {f"latency_{name}": len(us) for name, us in _DURATIONS_US.items()}
        sums = "SELECT class_key, SUM(count) FROM interval_histograms GROUP BY class_key"
        wait_for(lambda: dict(map(tuple, rows(url, sums))) == expected, "all durations are stored")
    encoded: dict[str, list[tuple[str, int]]] = {name: [] for name in _DURATIONS_US}
    for row in rows(url, "SELECT class_key, count, histogram FROM interval_histograms"):
        text = base64.b64encode(row.histogram).decode()
        encoded[row.class_key.removeprefix("latency_")].append((text, row.count))
    return encoded


def _line(path: str, duration_us: int) -> str:
    return (
        f'127.0.0.1 - - [20/Nov/2026:10:13:30 +0000] "GET {path} HTTP/1.1" 200 1 "-" "-" '
        f"{duration_us}\n"
    )


def _in_python(encoded: list[str]) -> list[int]:
    """Return the percentiles that the Python package tells of all `encoded` together."""
    whole = HdrHistogram(1, _HOUR_US, 3)
    for text in encoded:
        whole.decode_and_add(text)
    count = whole.get_total_count()
    # It rounds a rank where nearest-rank goes up: asked for the share that the rank is.
    ranks = (int(np.ceil(round(count * p / 100, 6))) for p in _PERCENTILES)
    return [whole.get_value_at_percentile(100 * max(rank, 1) / count) for rank in ranks]
