"""The page, timed in a warm process, as seconds pass and snapshots come.

`python -m bench.timed_page CONFIG SECONDS` prints a JSON object: `rendered_ms`, what the first
request of a second took, one a second; `again_ms`, what others in the same second did;
`renewed_ms`, what the first one took that showed a new snapshot; the page's `bytes` and how many
`lines` are drawn in it. It writes to the store, which `python -m bench.year` has made.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.timed_requests import answer
from bench.year.snapshots import Year
from config import load
from store.engines import open_writer
from store.reading import newest_taken_at_ms
from store.writing import commit
from web.app import create_app

_PAGE = "/engineering"
_OTHERS = 20
#: For longer than this the web app does not believe that a snapshot is the newest.
_LOOK_S = 0.3


def main(config_path: Path, seconds: int) -> None:
    """Ask for the page and print what it took."""
    config = load(config_path)
    app: Any = create_app(config).wsgi_app
    for _ in range(3):
        first = answer(app, _PAGE)
        _wait_for_another_second()
    rendered_ms, again_ms, renewed_ms = [], [], []
    for _ in range(seconds):
        _wait_for_another_second()
        rendered_ms.append(answer(app, _PAGE).ms)
        again_ms += [answer(app, _PAGE).ms for _ in range(_OTHERS)]
    year, engine = Year(config, 1), open_writer(config.store.url)
    with engine.connect() as connection:
        newest_ms = newest_taken_at_ms(connection, config.store.source) or 0
    for snapshot in year.documents(newest_ms + 1, newest_ms + seconds * year.interval_ms):
        commit(engine, year.with_intervals(snapshot, newest_ms))
        newest_ms = snapshot.taken_at_ms
        time.sleep(_LOOK_S)
        renewed_ms.append(answer(app, _PAGE).ms)
    told = {"rendered_ms": rendered_ms, "again_ms": again_ms, "renewed_ms": renewed_ms}
    print(json.dumps({**told, "bytes": len(first.body), "lines": first.body.count(b"<svg")}))


def _wait_for_another_second() -> None:
    # Not at its very begin, where a clock that is read twice could tell two seconds.
    time.sleep(1.05 - time.time() % 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
