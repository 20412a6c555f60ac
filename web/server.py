"""Serving the app with waitress, which reads slow clients without giving them a thread.

docs/ARCHITECTURE.md has the measurement behind the choice.
"""

import gc
import logging
import signal
import sys
from types import FrameType

import waitress
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from config import Config
from web.app import create_app

log = logging.getLogger("opsnap.web")

#: No request of ours has a body or long headers.
_MOST_HEADER_BYTES = 16_384
_MOST_BODY_BYTES = 1024
_IDLE_CONNECTION_S = 30
_MOST_CONNECTIONS = 500


def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; to be called in the main thread."""
    signal.signal(signal.SIGTERM, _exit)
    app = create_app(config)
    # What is loaded by now stays: without this, each full collection looks at all of it again, and
    # one visitor in some ten waits 45 ms for that.
    gc.collect()
    gc.freeze()
    server = waitress.create_server(
        app,
        host=config.web.host,
        port=config.web.port,
        threads=config.web.threads,
        ident=None,
        channel_timeout=_IDLE_CONNECTION_S,
        connection_limit=_MOST_CONNECTIONS,
        asyncore_use_poll=True,
        max_request_header_size=_MOST_HEADER_BYTES,
        max_request_body_size=_MOST_BODY_BYTES,
        clear_untrusted_proxy_headers=False,
    )
    # More requests than threads is what a busy minute looks like, not news for every one of them.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # One socket is a server; several, of a name with several addresses, are a map of servers.
    for one in [server, *getattr(server, "map", {}).values()]:
        if hasattr(one, "channel_class"):
            one.channel_class = _Channel
    path = f"{config.web.url_prefix}/engineering"
    # One socket has its own attributes; several, of a name with several addresses, are a list.
    listening = getattr(server, "effective_listen", None) or [
        (server.effective_host, server.effective_port)
    ]
    for host, port in listening:
        log.info("the page is at http://%s:%s%s", host, port, path)
    server.run()


class _Task(WSGITask):  # type: ignore[misc]
    """Keeps the connection after a 304, whose end is known although it has no Content-Length.

    waitress closes it, so that every visitor who has the newest already would connect anew.
    """

    def set_close_on_finish(self) -> None:
        """Close only what HTTP does not let stay open."""
        asked_to_close = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or self.version != "1.1" or asked_to_close:
            super().set_close_on_finish()


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
