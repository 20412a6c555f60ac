"""The stores that the figures of history are measured on: made once, kept under `build/bench`.

A year with default retention, which every run brings up to the present, and the same platform's
last month without roll-ups and with every document, for what one would do without opsnap's.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from bench.processes import BrokenBenchmarkError
from bench.year.__main__ import bottube
from store.times import DAY_MS

RAW_DAYS = 31
_YEAR_DAYS = 365
#: An older store has much more than a year in it, and is made anew.
_MOST_BEHIND_MS = 30 * DAY_MS
_ROOT = Path(__file__).parent.parent
_BUILD = _ROOT / "build" / "bench"
_BOTTUBE = _ROOT / "config" / "bottube.toml"


def year_store() -> Path:
    """Return the SQLite file with a year up to now. The first time takes many minutes."""
    return _kept("year", _YEAR_DAYS)


def raw_store() -> Path:
    """Return the SQLite file with all documents of the last month, and nothing made of them."""
    return _kept("raw", RAW_DAYS, "--raw")


def write_config(directory: Path, url: str) -> Path:
    """Write BoTTube's configuration with the store at `url` into `directory`; return its path."""
    told, count = re.subn(
        r'(?m)^url = "sqlite:.*opsnap\.db"$', f'url = "{url}"', _BOTTUBE.read_text()
    )
    if count != 1:
        raise BrokenBenchmarkError("the example's store is not where it was")
    path = directory / f"opsnap-{hashlib.sha256(url.encode()).hexdigest()[:8]}.toml"
    path.write_text(told)
    return path


def extent_ms(path: Path) -> tuple[int, int]:
    """Return when the first period began and the newest snapshot was taken (Unix ms)."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        newest_ms = connection.scalar(text("SELECT MAX(newest_taken_at) FROM sources"))
        oldest_ms = connection.scalar(text("SELECT MIN(starts_at) FROM rollup_periods"))
        oldest_ms = oldest_ms or connection.scalar(text("SELECT MIN(taken_at) FROM snapshots"))
    return int(oldest_ms), int(newest_ms)


def _kept(name: str, days: int, *options: str) -> Path:
    _BUILD.mkdir(parents=True, exist_ok=True)
    path = _BUILD / f"{name}-{_identity()}.db"
    is_usable = path.exists() and time.time() * 1000 - _newest_ms(path) < _MOST_BEHIND_MS
    for other in _BUILD.glob(f"{name}-*"):
        if not (is_usable and other.name.startswith(path.name)):
            shutil.rmtree(other) if other.is_dir() else other.unlink()
    print(f"  the store {path.relative_to(_ROOT)}", file=sys.stderr, flush=True)
    if is_usable:
        _run(path, days, *options)
        return path
    # Under its name only when it is whole: what was interrupted is of no use.
    making = path.with_suffix(".making")
    _run(making, days, *options)
    return making.rename(path)


def _run(path: Path, days: int, *options: str) -> None:
    arguments = ["--store", f"sqlite:///{path}", "--days", str(days), *options]
    done = subprocess.run([sys.executable, "-m", "bench.year", *arguments], check=False)
    if done.returncode:
        raise BrokenBenchmarkError(
            f"the store was not made: bench.year ended with {done.returncode}"
        )


def _newest_ms(path: Path) -> float:
    try:
        return extent_ms(path)[1]
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is made anew
        return 0.0


def _identity() -> str:
    """Return a text that changes with the generator, its configuration and the schema."""
    told = hashlib.sha256()
    for directory in (_ROOT / "bench" / "year", _ROOT / "migrations" / "versions"):
        for source in sorted(directory.glob("*.py")):
            told.update(source.read_bytes())
    told.update(repr(bottube("sqlite://")).encode())
    return told.hexdigest()[:12]
