"""Lines of an access log, as gunicorn and nginx write them.

A process of its own: `python -m bench.log_lines FORMAT FILE LINES` appends so many lines to the
file and prints as JSON how many requests of each class they tell of.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.platform_requests import PlatformRequest, platform_requests


def _combined(request: PlatformRequest) -> str:
    at = datetime.fromtimestamp(request.ended_at_us / 1e6, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return (
        f'{request.address} - - [{at}] "{request.method} {request.target} HTTP/1.1" '
        f'{request.status} {request.sent_bytes} "{request.referrer}" "{request.agent}"'
    )


def _gunicorn(request: PlatformRequest) -> str:
    return f"{_combined(request)} {request.duration_us}\n"


def _nginx(request: PlatformRequest) -> str:
    return f"{_combined(request)} {request.duration_us / 1e6:.3f}\n"


def _json(request: PlatformRequest) -> str:
    """Return what nginx writes with `escape=json` and the variables that most operators take."""
    at = datetime.fromtimestamp(request.ended_at_us / 1e6, UTC).isoformat(timespec="seconds")
    record = {
        "time_iso8601": at,
        "remote_addr": request.address,
        "request_method": request.method,
        "request_uri": request.target,
        "server_protocol": "HTTP/1.1",
        "status": request.status,
        "body_bytes_sent": request.sent_bytes,
        "request_time": request.duration_us // 1000 / 1000,
        "upstream_response_time": f"{request.duration_us / 1e6:.3f}",
        "http_referer": request.referrer,
        "http_user_agent": request.agent,
    }
    return json.dumps(record, separators=(",", ":")) + "\n"


_LINES: dict[str, Callable[[PlatformRequest], str]] = {
    "gunicorn": _gunicorn,
    "nginx": _nginx,
    "json": _json,
}


def write_lines(log_format: str, log: Path, count: int) -> Counter[str]:
    """Append `count` requests that ended until now; return how many are of which class."""
    line, written = _LINES[log_format], Counter[str]()
    with log.open("a") as file:
        for request in platform_requests(count, seed=5, ends_at_s=time.time()):
            file.write(line(request))
            if request.class_key is not None:
                written[request.class_key] += 1
    return written


if __name__ == "__main__":
    print(json.dumps(write_lines(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
