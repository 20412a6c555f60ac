"""The loop around a call that is measured, in a process of its own that is told when to run.

For each line of standard input, how often a list of calls is to be made, it prints the nanoseconds
that a call took. At the end of the input it prints how many calls the measured thing itself knows
of.
"""

import sys
import time
from collections.abc import Callable
from itertools import islice

from bench.platform_requests import PlatformRequest, platform_requests

CALLS = 2000


def some_requests() -> list[PlatformRequest]:
    """Return as many requests as one list of calls records, the same for every contestant."""
    return list(islice(platform_requests(CALLS, seed=3, ends_at_s=0), CALLS))


def route(request: PlatformRequest) -> str:
    """Return the request's route, as metrics are labelled with it: ids are not in it."""
    first, *_ = request.path[1:].split("/")
    return f"/{first}/<id>" if request.path.count("/") > 1 else f"/{first}"


def serve(run: Callable[[], object], count: Callable[[], int]) -> None:
    """Time `run`, which makes the list of calls once, for every line of input."""
    print("ready", flush=True)
    for line in sys.stdin:
        times = int(line)
        began_ns = time.perf_counter_ns()
        for _ in range(times):
            run()
        print((time.perf_counter_ns() - began_ns) / (times * CALLS), flush=True)
    print(count(), flush=True)
