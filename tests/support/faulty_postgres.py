"""In front of a PostgreSQL: what goes wrong between a client and its server just now."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

_SOCKET = ".s.PGSQL.5432"
#: A simple query, as libpq sends it.
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_CHUNK = 1 << 16


class FaultyPostgres:
    """Passes everything on to the server behind `url`, until it is told otherwise.

    `url` is where clients find it.
    """

    def __init__(self, url: str, directory: Path) -> None:
        (behind,) = parse_qs(urlsplit(url).query)["host"]
        self.url = url.replace(behind, str(directory))
        self._behind = f"{behind}/{_SOCKET}"
        self._hides_a_commit = False
        self._refused = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{directory}/{_SOCKET}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def hide_the_next_commit(self) -> None:
        """The server will commit, and its client will see nothing but a closed connection."""
        self._hides_a_commit = True

    def refuse(self, connections: int) -> None:
        """Close the next `connections` at once."""
        self._refused = connections

    def close(self) -> None:
        # A close alone would leave the thread in its accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refused:
                    self._refused -= 1
                    client.close()
                    continue
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._behind)
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for one in ready:
                    data = one.recv(_CHUNK)
                    if not data:
                        return
                    (server if one is client else client).sendall(data)
                    if one is client and data == _COMMIT and self._hides_a_commit:
                        self._hides_a_commit = False
                        server.recv(_CHUNK)  # its answer: from now on it is committed
                        return


@contextmanager
def in_front_of(url: str, directory: Path) -> Iterator[FaultyPostgres]:
    """Listen on a socket in `directory`, which has to have a short name, during the block."""
    faulty = FaultyPostgres(url, directory)
    try:
        yield faulty
    finally:
        faulty.close()
