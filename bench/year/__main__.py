"""Make a store with a year in it, or bring one up to now."""

import argparse
import os
import sys
import time
from pathlib import Path

from bench.year.filling import Past, Progress, fill, kept_by
from bench.year.memory import keep_memory
from bench.year.parts import fill_in_parts
from config import Config, load
from migrations.upgrading import upgrade
from store.engines import open_reader
from store.reading import newest_taken_at_ms
from store.times import DAY_MS, parse_iso_ms, plain_utc

_BOTTUBE = Path(__file__).parent.parent.parent / "config" / "bottube.toml"
_TELL_EVERY_S = 5.0


def main(arguments: list[str]) -> int:
    """Make the store that `arguments` ask for; tell on standard error how far it is."""
    asked = _parser().parse_args(arguments)
    keep_memory()
    config = bottube(asked.store, asked.source)
    upgrade(asked.store)
    past = Past(config, asked.seed, asked.end - round(asked.days * DAY_MS), asked.end)
    if asked.raw or _has_snapshots(config):
        fill(asked.store, past, _progress(), kept=None if asked.raw else kept_by(config))
    else:
        fill_in_parts(asked.store, past, _progress(), workers=asked.workers)
    print(f"{asked.store}: until {plain_utc(asked.end)}", file=sys.stderr)
    return 0


def _progress() -> Progress:
    began = told_at = time.monotonic()

    def progress(share: float) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _TELL_EVERY_S:
            told_at = now
            print(f"{share:7.1%} after {now - began:.0f} s", file=sys.stderr, flush=True)

    return progress


def _has_snapshots(config: Config) -> bool:
    engine = open_reader(config.store.url)
    try:
        with engine.connect() as connection:
            return newest_taken_at_ms(connection, config.store.source) is not None
    finally:
        engine.dispose()


def bottube(url: str, source: str = "bottube-1") -> Config:
    """Return the configuration of BoTTube with the store at `url`."""
    config = load(_BOTTUBE)
    return config.model_copy(
        update={"store": config.store.model_copy(update={"url": url, "source": source})}
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.year",
        description="Fill a store with plausible snapshots of BoTTube, every 30 s, rolled up and "
        "forgotten as by default. A store that has some already is brought further.",
    )
    parser.add_argument("--store", required=True, metavar="URL", help="SQLite or PostgreSQL")
    parser.add_argument("--source", default="bottube-1", help="the daemon's name: %(default)s")
    parser.add_argument("--days", type=float, default=365, help="until the end: %(default)s")
    parser.add_argument("--end", type=_time_ms, default="now", help="ISO 8601, or now: %(default)s")
    parser.add_argument(
        "--seed", type=int, default=1, help="another one, another year: %(default)s"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes that make a part of it each: %(default)s",
    )
    parser.add_argument(
        "--raw", action="store_true", help="keep every document, and make no roll-ups"
    )
    return parser


def _time_ms(text: str) -> int:
    return time.time_ns() // 1_000_000 if text == "now" else parse_iso_ms(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
