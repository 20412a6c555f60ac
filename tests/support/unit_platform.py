"""A platform that runs as a service under another user: `python -m … PORT DATABASE LOG`.

It answers health on 127.0.0.1:PORT, and keeps its database open and busy, in WAL mode as BoTTube
does, until SIGTERM. The standard library alone: it runs on the system's Python.
"""

import json
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from demo.filling import fill
from demo.tables import connect


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"ok": True, "version": "1.2.0", "uptime_s": 274_000}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def main() -> None:
    port, database, log = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    server = ThreadingHTTPServer(("127.0.0.1", port), _Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    connection = connect(database)
    fill(connection, videos=100, impressions=500, variant_events=200)
    with log.open("a", buffering=1) as lines:
        while not stop.wait(0.1):
            at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            for path in ("/api/feed", "/admin/backfill"):
                lines.write(f'127.0.0.1 - - [{at}] "GET {path} HTTP/1.1" 200 12 "-" "a/1" 5000\n')
            connection.execute(
                "INSERT INTO comments (video_id, created_at) VALUES ('one', ?)", [time.time()]
            )
    # The last connection that closes takes the -wal and -shm files away with it.
    connection.close()


if __name__ == "__main__":
    main()
