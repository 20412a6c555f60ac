"""A contestant of record-cost: the recorder's own record call.

`python -m bench.record_ours DIRECTORY`, see `bench.timed_calls`.
"""

import sys
from pathlib import Path

from bench.ring_counts import recorded
from bench.timed_calls import serve, some_requests
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

    serve(run, lambda: recorded(directory))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
