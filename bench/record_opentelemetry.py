"""A contestant of record-cost: a histogram of OpenTelemetry's SDK.

`python -m bench.record_opentelemetry`, see `bench.timed_calls`.
"""

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from bench.timed_calls import route, serve, some_requests


def main() -> None:
    """Record what the semantic conventions for HTTP servers ask for, with the usual buckets."""
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("bench")
    histogram = meter.create_histogram("http.server.request.duration", unit="s")
    requests = [
        (one.method, route(one), one.status, one.duration_us / 1e6) for one in some_requests()
    ]

    def run() -> None:
        for method, name, status, seconds in requests:
            histogram.record(
                seconds,
                {
                    "http.request.method": method,
                    "http.route": name,
                    "http.response.status_code": status,
                },
            )

    serve(run, lambda: _recorded(reader))


def _recorded(reader: InMemoryMetricReader) -> int:
    """Return how many measurements the SDK has aggregated."""
    data = reader.get_metrics_data()
    return sum(
        point.count
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if isinstance(point, HistogramDataPoint)
    )


if __name__ == "__main__":
    main()
