"""Starting everything: the platform, its nodes and traffic, then opsnap to watch it."""

import http.client
import signal
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from string import Template
from types import FrameType

from demo.filling import fill
from demo.processes import SIGNALS, ProcessDiedError, Processes
from demo.tables import connect

_ACCESS_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(D)s'
#: Round-trip times of the nodes in milliseconds; the last is slow enough for a warning.
_NODE_DELAYS_MS = (9, 21, 48, 980)
_CONFIG = Path(__file__).with_name("opsnap.toml")
_START_PATIENCE_S = 45.0
_DEADLINE_SHARE = 0.8


def launch(*, interval_s: int, port: int, directory: Path | None) -> int:
    """Run the demo until Ctrl-C or SIGTERM and return the exit status.

    `port` 0 takes any free one. Files go to `directory`, which is made if it is missing and
    keeps them, or to a temporary one that is removed.
    """
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opsnap-")))
        directory.mkdir(parents=True, exist_ok=True)
        processes = Processes(directory)
        stack.callback(_stop_undisturbed, processes)
        try:
            page = _start_all(processes, directory.resolve(), interval_s, port)
            _say(f"\n  The page:  {page}\n  The same as JSON:  {_api(page)}\n")
            _say(f"  A snapshot every {interval_s} s. Ctrl-C stops everything.")
            while True:
                # Not the end of the demo: what the page says then is worth a look.
                for name in processes.newly_dead():
                    _say(f"  {name} has ended; the others go on.")
                time.sleep(0.5)
        except ProcessDiedError as error:
            _say(str(error))
            return 1
        except KeyboardInterrupt:
            _say("stopping")
    return 0


def _start_all(processes: Processes, directory: Path, interval_s: int, port: int) -> str:
    """Start one thing after the other and return the page's address once it is complete."""
    platform_port, page_port, *node_ports = _free_ports(2 + len(_NODE_DELAYS_MS))
    page_port = port or page_port
    database = directory / "bottube.db"
    if not database.exists():
        _say("filling the platform's database …")
        connection = connect(database)
        fill(connection)
        connection.close()
    _say("starting the platform, its nodes and its traffic …")
    nodes = [f"{p}:{ms}" for p, ms in zip(node_ports, _NODE_DELAYS_MS, strict=True)]
    processes.start("nodes", "demo.nodes", *nodes)
    rings = directory / "latency"
    rings.mkdir(exist_ok=True)
    processes.start(
        "platform",
        *("gunicorn", "demo.platform:create_app()", "-b", f"127.0.0.1:{platform_port}"),
        *("--workers", "2", "--threads", "4", "--worker-tmp-dir", str(directory)),
        *("--no-control-socket",),
        *("--access-logfile", str(directory / "access.log")),
        *("--access-logformat", _ACCESS_FORMAT),
        environ={"DEMO_DATABASE": str(database), "DEMO_RECORDER_DIR": str(rings)},
    )
    _wait_for(processes, platform_port, "/health")
    processes.start("workers", "demo.workers", str(database))
    processes.start("traffic", "demo.traffic", str(platform_port))
    _wait_for_admin_traffic(processes, directory / "access.log")
    _say("starting opsnap …")
    config = directory / "opsnap.toml"
    config.write_text(
        Template(_CONFIG.read_text(encoding="utf-8")).substitute(
            directory=directory,
            platform_port=platform_port,
            page_port=page_port,
            interval_s=interval_s,
            timeout_s=round(min(2.0, interval_s * 0.7), 2),
            deadline_s=round(interval_s * _DEADLINE_SHARE, 2),
            **{f"node_{i}": p for i, p in enumerate(node_ports, 1)},
        ),
        encoding="utf-8",
    )
    processes.run("migrate", "opsnap", "--config", str(config), "migrate")
    processes.start("daemon", "opsnap", "--config", str(config), "daemon")
    processes.start("web", "opsnap", "--config", str(config), "web")
    _wait_for(processes, page_port, "/readyz")
    return f"http://127.0.0.1:{page_port}/engineering"


def _wait_for(processes: Processes, port: int, path: str) -> None:
    """Return when `path` answers 200. Raises ProcessDiedError when that does not happen."""
    ends = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < ends:
        processes.require_all_alive()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    msg = f"no answer from {path} on port {port} within {_START_PATIENCE_S:.0f} s"
    raise ProcessDiedError(msg)


def _wait_for_admin_traffic(processes: Processes, log: Path) -> None:
    """Return when both classes of requests were answered, so that no panel starts empty."""
    ends = time.monotonic() + _START_PATIENCE_S
    while time.monotonic() < ends and "/admin/" not in log.read_text(errors="replace"):
        processes.require_all_alive()
        time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _stop_undisturbed(processes: Processes) -> None:
    """Stop all of them, however often Ctrl-C is pressed meanwhile."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    processes.stop()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _api(page: str) -> str:
    return page.replace("/engineering", "/api/engineering")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
