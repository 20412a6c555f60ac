"""Node servers of different speed, one of them slow enough to warn.

Run as `python -m demo.nodes PORT[:DELAY_MS] …`.
"""

import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    delay_s = 0.0


class _Health(BaseHTTPRequestHandler):
    """Answers every GET after the server's delay, give or take a fifth."""

    server: _Server

    def do_GET(self) -> None:
        time.sleep(self.server.delay_s * random.uniform(0.9, 1.2))
        health = {"ok": True, "version": "2.2.1", "uptime_s": 86_400, "db_rw": True}
        body = json.dumps(health).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing: nobody reads it."""


def main(arguments: list[str]) -> None:
    """Serve one node an argument until the process ends."""
    threads = []
    for argument in arguments:
        port, _, delay_ms = argument.partition(":")
        server = _Server(("127.0.0.1", int(port)), _Health)
        server.delay_s = float(delay_ms or 0) / 1000
        threads.append(threading.Thread(target=server.serve_forever, daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
