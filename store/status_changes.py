"""What changed its state between two snapshots: nodes, and sections."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from store.codec import Document

NODE, SECTION = "node", "section"
#: The states that make an incident, by kind, and all of them.
BAD = {NODE: frozenset({"err"}), SECTION: frozenset({"error", "stale"})}
ALL_BAD = sorted(frozenset.union(*BAD.values()))


class Status(NamedTuple):
    """A state and the public reason for it."""

    status: str
    reason: str | None


#: By kind and name.
Statuses = dict[tuple[str, str], Status]


def statuses_of(document: Document) -> Statuses:
    """Return the state of each node and section of `document`.

    Nodes that nobody could look at have the state that the document carries from an earlier one.
    """
    statuses: Statuses = {}
    nodes = document.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        _note(statuses, NODE, node.get("id") if isinstance(node, dict) else None, node)
    sections = document.get("sections")
    for name, section in sections.items() if isinstance(sections, dict) else ():
        _note(statuses, SECTION, name, section)
    return statuses


def changes(before: Statuses, after: Statuses) -> Iterator[dict[str, Any]]:
    """Yield a row of `status_changes`, without its key in time, for each state that differs.

    What was not there before comes from null, what is not there any more goes to null.
    """
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if (old and old.status) != (new and new.status):
            yield {
                "kind": key[0],
                "name": key[1],
                "from_status": old and old.status,
                "to_status": new and new.status,
                "reason": new and new.reason,
            }


def _note(statuses: Statuses, kind: str, name: Any, entry: Any) -> None:
    status = entry.get("status") if isinstance(entry, dict) else None
    if isinstance(name, str) and isinstance(status, str):
        statuses[kind, name] = Status(status, entry.get("reason"))
