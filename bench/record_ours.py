"""A contestant of record-cost: the recorder's own record call.

`python -m bench.record_ours DIRECTORY`, see `bench.timed_calls`.
"""

import sys
from pathlib import Path

from bench.timed_calls import serve, some_requests
from daemon.rings.following import RingFollower
from recorder.recording import Recorder


def main(directory: Path) -> None:
    """Record into a ring in `directory`, of the usual size."""
    record = Recorder(directory).record
    requests = [
        (one.duration_us * 1000, one.status, one.method, one.path) for one in some_requests()
    ]

    def run() -> None:
        for duration_ns, status, method, path in requests:
            record(duration_ns, status, method, path)

    serve(run, lambda: _recorded(directory))


def _recorded(directory: Path) -> int:
    """Return how many requests stand in the ring and have been overwritten in it."""
    follower = RingFollower(directory)
    batches = list(follower.read_new())
    losses = [loss.requests for batch in batches for loss in batch.losses]
    if None in losses:
        sys.exit("the ring cannot be read")
    return sum(len(batch.requests) for batch in batches) + sum(lost or 0 for lost in losses)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
