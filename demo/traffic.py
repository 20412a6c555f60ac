"""Visitors and an administrator: a few requests a second, for as long as the platform answers.

Run as `python -m demo.traffic PORT`. Talks to 127.0.0.1 alone.
"""

import contextlib
import http.client
import json
import random
import sys
import threading
import time

_VISITORS = 3
_PAUSE_S = 0.5


def main(port: int) -> None:
    """Send traffic to the platform on `port` until the process ends."""
    threads = [threading.Thread(target=_visit, args=(port,), daemon=True) for _ in range(_VISITORS)]
    threads.append(threading.Thread(target=_administrate, args=(port,), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _visit(port: int) -> None:
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            _browse(port)
        time.sleep(random.expovariate(1 / _PAUSE_S))


def _browse(port: int) -> None:
    """Look at the home page and a feed; click on some of it and watch what was clicked."""
    _ask(port, "GET", "/")
    if random.random() < 0.004:
        _ask(port, "GET", "/api/broken")
    feed = json.loads(_ask(port, "GET", "/api/feed"))
    for item in feed["items"]:
        if random.random() < feed["click_rate"] * 2:
            _ask(port, "GET", f"/watch/{item['video']}?imp={item['impression']}")
            ping = {"impression": item["impression"], "seconds": round(random.expovariate(1 / 28))}
            _ask(port, "POST", "/api/feed/watch", json.dumps(ping))


def _administrate(port: int) -> None:
    seconds = 0.5
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            _ask(port, "POST", f"/admin/backfill?seconds={seconds:.1f}")
        seconds = min(random.lognormvariate(1.0, 0.7), 25)


def _ask(port: int, method: str, target: str, body: str | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, target, body, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
