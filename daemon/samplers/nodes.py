"""Nodes: one HTTP round trip to each, side by side, every tick."""

from collections.abc import Mapping
from typing import Any

from config import Config
from config.platform import Node
from daemon.http_probe import Answer, Probe
from daemon.observed import ObservedDatabase
from daemon.sampler import Reading, Sampler
from daemon.side_by_side import Outcome, SideBySide, Task

#: With starts this far apart, 200 probes measure 0.6 ms to a server on the same machine, where
#: they measure 1.7 ms when all start at once; the price is 0.2 s for 200 nodes.
_SPACING_S = 0.001
_SHARE_OF_DEADLINE = 0.95
_LOWEST_ERROR_STATUS = 300


def build(config: Config, _database: ObservedDatabase | None) -> Sampler:
    """Return the sampler of section `nodes`."""
    empty = {"nodes": [_unknown(node) for node in config.nodes]}
    if not config.nodes:
        return Sampler("nodes", empty, None)
    side_by_side: SideBySide[Answer] = SideBySide("node", _SPACING_S)
    # Before the tick's own deadline, which would blank all nodes for the sake of the slowest.
    within_s = _SHARE_OF_DEADLINE * config.schedule.tick_deadline_s

    def sample() -> Mapping[str, Reading]:
        tasks = {node.id: _task(node) for node in config.nodes}
        outcomes = side_by_side.run(tasks, within_s=within_s)
        entries = [_judge(node, outcomes[node.id]) for node in config.nodes]
        troubles = {name: o.failure for name, o in outcomes.items() if o.failure is not None}
        return {"nodes": Reading(entries, troubles=troubles)}

    return Sampler("nodes", empty, sample)


def _task(node: Node) -> Task[Answer]:
    probe = Probe(
        node.url, timeout_s=node.timeout_s, verify_tls=node.verify_tls, ca_file=node.ca_file
    )
    return Task(probe.run, node.timeout_s, probe.give_up)


def _unknown(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "location": node.location,
        "status": None,
        "rtt_ms": None,
        "reason": None,
        "phases_ms": None,
    }


def _judge(node: Node, outcome: Outcome[Answer]) -> dict[str, Any]:
    """Return the node's entry: ok, warn or err by its thresholds; no answer is err, and null ms."""
    answer = outcome.value
    if answer is None:
        return {**_unknown(node), "status": "err", "reason": outcome.why_not().reason}
    entry = {**_unknown(node), "rtt_ms": answer.rtt_ms, "phases_ms": answer.phases_ms}
    if answer.status >= _LOWEST_ERROR_STATUS:
        return {**entry, "status": "err", "reason": "http_status"}
    if answer.rtt_ms >= node.err_ms:
        return {**entry, "status": "err"}
    return {**entry, "status": "warn" if answer.rtt_ms >= node.warn_ms else "ok"}
