"""The choice of the WSGI server: the same application under each, one worker, in turn."""

import importlib.util
from contextlib import ExitStack
from pathlib import Path

from bench.newest_json import take_snapshot
from bench.processes import Process, free_port, memory, running, wait_until_answering
from bench.rates import API, Contestant, median_rate, median_ratio, rounds
from bench.table import Row
from bench.watched import Watched, watched

_ROUNDS = 9
_SECONDS = 0.6
_THREADS = 4
_OURS = "waitress"
_APP = "bench.served_app:create"


def measure(directory: Path) -> list[Row]:
    """Load the newest JSON under each server, and add up the memory of all its processes."""
    with watched(directory, "wsgi-servers", interval_s=30) as platform, ExitStack() as stack:
        take_snapshot(platform)
        servers = _servers(platform)
        contestants = [
            Contestant(name, _start(stack, platform, name, port, arguments).pid, port)
            for name, (port, arguments) in servers.items()
        ]
        bursts = rounds(contestants, count=_ROUNDS, seconds=_SECONDS)
        memories = {one.name: memory(one.pid) for one in contestants}
    rows = []
    for name in servers:
        ratio, detail = median_ratio(bursts[name], bursts[_OURS])
        rows.append(
            Row(
                f"newest JSON under {name}",
                median_rate(bursts[name]),
                median_rate(bursts[_OURS]),
                ratio,
                detail=f"{memories[name].pss_mb:.0f} MB PSS, {memories[name].rss_mb:.0f} MB "
                f"resident; {detail}",
            )
        )
    if "granian" not in servers:
        rows.append(Row("newest JSON under granian", "not installed"))
    return rows


def _servers(platform: Watched) -> dict[str, tuple[int, list[str]]]:
    """Return port and arguments of `python -m` for each server; ours is `opsnap web` itself."""
    sync, gthread, granian = free_port(), free_port(), free_port()
    threads = str(_THREADS)
    gunicorn = ["gunicorn", f"{_APP}()", "--workers", "1", "--worker-tmp-dir", "/dev/shm"]
    gunicorn += ["--no-control-socket", "--log-level", "warning", "--bind"]
    servers = {
        _OURS: (platform.page_port, ["opsnap", "--config", str(platform.config_path), "web"]),
        "gunicorn sync": (sync, [*gunicorn, f"127.0.0.1:{sync}"]),
        "gunicorn gthread": (
            gthread,
            [*gunicorn, f"127.0.0.1:{gthread}", "--worker-class", "gthread", "--threads", threads],
        ),
    }
    if importlib.util.find_spec("granian"):
        arguments = ["granian", "--interface", "wsgi", "--factory", _APP, "--no-ws"]
        arguments += ["--host", "127.0.0.1", "--port", str(granian), "--workers", "1"]
        arguments += ["--blocking-threads", threads]
        servers["granian"] = (granian, arguments)
    return servers


def _start(
    stack: ExitStack, platform: Watched, name: str, port: int, arguments: list[str]
) -> Process:
    log = platform.directory / f"{name.replace(' ', '-')}.log"
    environ = {"OPSNAP_CONFIG": str(platform.config_path)}
    process = stack.enter_context(running(log, *arguments, environ=environ))
    wait_until_answering(process, log, port, API)
    return process
