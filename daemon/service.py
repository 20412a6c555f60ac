"""The daemon process: from a configuration to a clean end."""

import logging
import os
import resource
import signal
import sys
import threading
import time

from config import Config
from daemon.draining import Draining
from daemon.recording import Recorder
from daemon.ticking import Ticking
from daemon.upkeep import Upkeep
from store.engines import open_writer
from store.revision import require_current_schema

log = logging.getLogger("opsnap.daemon")

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
_STOP_PATIENCE_S = 1.5


def run(config: Config) -> int:
    """Tick until SIGTERM or SIGINT and return the exit status; to be called in the main thread.

    Raises SchemaError for a store without the present schema, and SQLAlchemy's errors for one
    that cannot be opened: an operator has to see to both before there is anything to do.
    """
    # Until the first tick there is nothing to end: a signal ends a wait for the store at once.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # A probe that was answered waits for the interpreter at most this long while a busy sampler
    # computes. Python's 5 ms would be added to round-trip times.
    sys.setswitchinterval(0.0005)
    # A descriptor a log file and a running process of the platform: as many as the system gives.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    engine = open_writer(config.store.url)
    require_current_schema(engine)
    recorder = Recorder(config, engine)
    # Waited for instead of handled: no code runs in the middle of other code. Threads inherit it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    stop = threading.Event()
    ticking = Ticking(config.schedule.interval_s, lambda: recorder.tick(stop))
    log.info(
        "watching %s as %s, a tick every %d s",
        config.platform.name,
        config.store.source,
        config.schedule.interval_s,
    )
    draining = Draining(recorder.drain)
    upkeep = Upkeep(engine, config.store.source, config.retention)
    draining.start()
    ticking.start()
    upkeep.start()
    while (received := signal.sigtimedwait(_STOP_SIGNALS, 1.0)) is None:
        ticking.watch_clock()
    log.info("%s: stopping", signal.Signals(received.si_signo).name)
    stop.set()
    ends = time.monotonic() + _STOP_PATIENCE_S
    # The ticks first: upkeep and draining wait for the store no longer than they do.
    others = (upkeep.stop, draining.stop)
    if not ticking.stop(_STOP_PATIENCE_S) or not all(s(ends - time.monotonic()) for s in others):
        # A commit that hangs on its disk or server: it is atomic, so leaving now loses it whole,
        # and what is in no commit is read again from where it came.
        log.warning("what is in progress did not end; leaving without it")
        logging.shutdown()
        os._exit(0)
    engine.dispose()
    log.info("stopped")
    return 0
