"""Reading a directory of rings as the daemon does, and what came of it."""

from collections.abc import Iterator
from pathlib import Path

from daemon.requests import Position, Request
from daemon.rings.following import RingFollower


class RingReader:
    """Follows the rings in `directory`; `lost` counts what it was told is lost for certain."""

    def __init__(self, directory: Path, cursors: dict[str, int] | None = None) -> None:
        self._follower = RingFollower(directory)
        self._follower.begin({"numbers": cursors, "finished": []} if cursors else None)
        self.lost = 0
        #: How often it was told that nobody knows what is lost.
        self.unknown_losses = 0

    def read_new(self) -> Iterator[Request]:
        for batch in self._follower.read_new():
            for loss in batch.losses:
                self.lost += loss.requests or 0
                self.unknown_losses += loss.requests is None
            yield from batch.requests

    def paths(self) -> list[str]:
        return [request.path for request in self.read_new()]

    def position(self) -> Position:
        return self._follower.position()

    def cursors(self) -> dict[str, int]:
        """Return the number of the next record of every ring, by file name."""
        cursors: dict[str, int] = self._follower.position().data["numbers"]
        return cursors

    def remove_finished(self) -> None:
        """Remove what is read to its end, as after a commit."""
        self._follower.stored(self._follower.position())
        self._follower.tidy()

    def damaged(self) -> list[str]:
        return sorted(self._follower.troubles())
