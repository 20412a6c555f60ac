"""Requests to the web app, each timed, in a process of its own that has answered nothing before.

`python -m bench.timed_requests CONFIG` reads a JSON list of paths from standard input and prints a
JSON list with an object for each, in the same order: `ms` from the call of the WSGI application to
the end of the body, `cpu_ms` of it, and `status`. There is no server and no socket in it.
"""

import gc
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.test import create_environ

from config import load
from web.app import create_app


@dataclass(frozen=True)
class Answer:
    """What a request was answered, and how long that took in milliseconds: in all, and of CPU."""

    status: int
    body: bytes
    ms: float
    cpu_ms: float


def main(config_path: Path) -> None:
    """Answer the requests of standard input and print what each took."""
    app = create_app(load(config_path)).wsgi_app
    # As `web.server` does.
    gc.collect()
    gc.freeze()
    answers = [answer(app, path) for path in json.load(sys.stdin)]
    told = [{"ms": one.ms, "cpu_ms": one.cpu_ms, "status": one.status} for one in answers]
    print(json.dumps(told))


def answer(app: Any, path: str) -> Answer:
    """Call the WSGI application `app` as a server does."""
    environ = create_environ(path)
    told: list[str] = []
    began_s, cpu_began_s = time.perf_counter(), time.process_time()
    response = app(environ, lambda status, _headers, _exc_info=None: told.append(status))
    try:
        body = b"".join(response)
    finally:
        response.close()
    took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_began_s
    return Answer(int(told[-1].split()[0]), body, took_s * 1000, cpu_s * 1000)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
