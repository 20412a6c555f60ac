"""Nodes to probe: some answer, some of them over TLS, some accept and never say a word.

A process of its own: `python -m bench.node_servers DIRECTORY PLAIN TLS SILENT` prints a line of
JSON, the addresses in that order, and serves until it is ended.
"""

import asyncio
import json
import ssl
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import trustme

_BODY = json.dumps(
    {"ok": True, "version": "1.2.0", "uptime_s": 274_000, "db_rw": True, "tip_age_slots": 1}
).encode()
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_DELAY_S = 0.02


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(_DELAY_S)
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while await reader.read(4096):
            pass
        writer.close()


def _tls_context(directory: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(directory / "node-authority.pem")
    return context


async def _serve(directory: Path, plain: int, tls: int, silent: int) -> None:
    listen = partial(asyncio.start_server, host="127.0.0.1", port=0, backlog=64)
    context = _tls_context(directory)
    servers = [await listen(_answer) for _ in range(plain)]
    servers += [await listen(_answer, ssl=context) for _ in range(tls)]
    servers += [await listen(_say_nothing) for _ in range(silent)]
    schemes = ["http"] * plain + ["https"] * tls + ["http"] * silent
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    addresses = [
        f"{scheme}://127.0.0.1:{port}/health" for scheme, port in zip(schemes, ports, strict=True)
    ]
    print(json.dumps(addresses), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), *map(int, sys.argv[2:])))
