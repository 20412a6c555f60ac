"""How many requests have been recorded into the rings of a directory."""

from pathlib import Path

from bench.processes import BrokenBenchmarkError
from daemon.rings.following import RingFollower


def recorded(directory: Path) -> int:
    """Return how many requests stand in the rings or have been overwritten in them."""
    follower = RingFollower(directory)
    follower.begin(None)
    batches = list(follower.read_new())
    follower.close()
    lost = [loss.requests for batch in batches for loss in batch.losses]
    if None in lost:
        raise BrokenBenchmarkError("a ring cannot be read")
    return sum(len(batch.requests) for batch in batches) + sum(filter(None, lost))
