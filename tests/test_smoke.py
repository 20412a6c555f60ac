from collections.abc import Callable
from pathlib import Path

from daemon.cycle import Cycle
from daemon.samplers import build_samplers
from store.codec import decode
from tests.support.configuring import bottube_tree, load_tree
from tests.support.servers import RawServer, healthy


def test_one_cycle_fills_every_section(
    tmp_path: Path, sqlite_url: str, bottube_path: Path, log_line: Callable[..., str]
) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line() + log_line("/admin/backfill", 2_000_000))
    with RawServer(healthy()) as node:
        tree = bottube_tree(
            store_url=sqlite_url,
            observed_url=f"sqlite:///{bottube_path}",
            log_path=log,
            node_urls=(node.url,),
            health_url=node.url,
        )
        config = load_tree(tmp_path / "opsnap.toml", tree)
        tick = Cycle(config, build_samplers(config)).run(1_000_000)
    document = decode(tick.snapshot.document)
    assert {name: s["status"] for name, s in document["sections"].items()} == dict.fromkeys(
        document["sections"], "ok"
    )
