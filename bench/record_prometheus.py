"""A contestant of record-cost: a histogram with labels in prometheus_client's multiprocess mode.

`PROMETHEUS_MULTIPROC_DIR=DIRECTORY python -m bench.record_prometheus`, see `bench.timed_calls`.
"""

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

from bench.timed_calls import route, serve, some_requests


def main() -> None:
    """Observe in the way that the package's documentation shows, with its own buckets."""
    histogram = Histogram(
        "request_seconds", "Time until the response is over.", ["method", "route", "status"]
    )
    requests = [
        (one.method, route(one), str(one.status), one.duration_us / 1e6) for one in some_requests()
    ]

    def run() -> None:
        for method, name, status, seconds in requests:
            histogram.labels(method, name, status).observe(seconds)

    serve(run, _recorded)


def _recorded() -> int:
    """Return how many observations the files of this process hold."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return int(
        sum(
            sample.value
            for metric in registry.collect()
            for sample in metric.samples
            if sample.name == "request_seconds_count"
        )
    )


if __name__ == "__main__":
    main()
