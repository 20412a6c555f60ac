"""Rings of processes that are dead by now: written by the recorder's own writer.

A process of its own: `python -m bench.ring_files DIRECTORY RINGS RECORDS SLOTS` writes RECORDS
requests into each of RINGS rings, and prints as JSON how many it wrote of each class.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path

from bench.platform_requests import platform_requests
from recorder.ring import RingWriter


def write_rings(directory: Path, rings: int, records: int, slots: int) -> Counter[str]:
    """Write as many processes do at the same time, until now; return the counts by class."""
    written: Counter[str] = Counter()
    ends_at_s = time.time()
    for seed in range(rings):
        requests = platform_requests(records, seed=seed, ends_at_s=ends_at_s)
        now_ns = ends_at_s * 10**9

        def clock() -> int:
            return int(now_ns)  # noqa: B023 - the writer does not outlive the turn

        writer = RingWriter(str(directory), slots, now_ns=clock)
        for request in requests:
            now_ns = request.ended_at_us * 1000
            duration_ns = request.duration_us * 1000
            method, path = request.method.encode(), request.path.encode()
            if not writer.write(duration_ns, request.status, method, path):
                sys.exit("a ring was removed while it was written")
            if request.class_key is not None:
                written[request.class_key] += 1
    return written


if __name__ == "__main__":
    told = write_rings(Path(sys.argv[1]), *map(int, sys.argv[2:]))
    print(json.dumps(told))
