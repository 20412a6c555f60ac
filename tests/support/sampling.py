"""Running real samplers over a configuration, and reading what they said."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import Config
from daemon.cycle import Cycle
from daemon.sampler import Sampler
from daemon.samplers import build_samplers
from store.codec import Document, decode
from store.reasons import REASONS
from tests.support.configuring import bottube_tree, load_tree

Tree = dict[str, Any]


@dataclass(frozen=True)
class Probed:
    """The entries of section `nodes` by id, and how long the sampler took for all of them."""

    nodes: dict[str, dict[str, Any]]
    took_s: float


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def tree_of_nodes(tmp_path: Path, **nodes: Mapping[str, Any] | str) -> Tree:
    """Return a configuration that watches `nodes` alone: an id and a URL, or its keys."""
    tree = bottube_tree(store_url=f"sqlite:///{tmp_path}/store.db", observed_url="")
    for section in ("observed", "state", "queue", "outcomes", "experiments", "pipeline"):
        del tree[section]
    tree["nodes"] = [
        {"id": name, "location": name, **({"url": keys} if isinstance(keys, str) else keys)}
        for name, keys in nodes.items()
    ]
    return tree


def sampler_of(config: Config, name: str) -> Sampler:
    return next(sampler for sampler in build_samplers(config) if sampler.name == name)


def nodes_sampler(tmp_path: Path, **nodes: Mapping[str, Any] | str) -> Sampler:
    """Return the real sampler of `nodes`, to be probed with `probe`."""
    return sampler_of(load_tree(tmp_path / "nodes.toml", tree_of_nodes(tmp_path, **nodes)), "nodes")


def probe(sampler: Sampler) -> Probed:
    """Probe all nodes once, as a tick does."""
    assert sampler.sample is not None
    began = time.perf_counter()
    entries = sampler.sample()["nodes"].values
    return Probed({entry["id"]: entry for entry in entries}, time.perf_counter() - began)


def cycle_of(tmp_path: Path, tree: Tree) -> Cycle:
    config = load_tree(tmp_path / "opsnap.toml", tree)
    return Cycle(config, build_samplers(config))


def document_of(cycle: Cycle, taken_at_ms: int | None = None) -> Document:
    """Return the document of the next tick, as it would be stored and served."""
    tick = cycle.run(now_ms() if taken_at_ms is None else taken_at_ms)
    assert tick is not None
    return decode(tick.snapshot.document)


def statuses(document: Document) -> dict[str, str]:
    return {name: section["status"] for name, section in document["sections"].items()}


def reasons(document: Document) -> Iterator[str]:
    """Yield every reason that stands anywhere in `document`."""
    for entry in [*document["sections"].values(), *document["nodes"]]:
        if entry["reason"] is not None:
            yield entry["reason"]
        yield from entry.get("missing", {}).values()


def assert_fit_for_the_public(document: Document, *private: str) -> None:
    """Fail unless every reason is on the closed list and none of `private` is told."""
    assert set(reasons(document)) <= REASONS.keys()
    text = repr(document)
    assert [word for word in private if word in text] == []
