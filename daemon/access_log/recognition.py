"""Recognising files that were read before: under another name, after a restart, as a copy."""

from collections.abc import Collection, Sequence
from pathlib import Path

from daemon.access_log.log_file import LogFile, Place


def recognise(
    log_path: Path,
    found: Sequence[tuple[Path, LogFile]],
    places: Collection[Place],
    truncated: Place | None,
) -> bool:
    """Set each of the `found` files to where its content has been read to; say if some is lost.

    `places` tell of files that were read before; `truncated` of the log at `log_path`, which has
    just been found emptied in place. A file that nothing is known of is left at its start. Content
    may be lost when the log was emptied, or when the file that its writer had open is nowhere.
    """
    left = list(places)
    strangers = []
    for path, log in found:
        place = next((one for one in left if _is_same_file(one, log)), None)
        if place is None:
            strangers.append((path, log))
            continue
        left.remove(place)
        log.go_to(place)
    gone = [place for place in left if place.is_live] + ([truncated] if truncated else [])
    may_have_lost = truncated is not None
    for path, log in strangers:
        place = next((one for one in gone if _is_copy(log, one)), None)
        # A log that was emptied and filled again may begin alike; its copies are elsewhere.
        if place is None or (path == log_path and (truncated or log.size() < place.offset)):
            continue
        gone.remove(place)
        log.go_to(place)
        may_have_lost |= any(other.identity[1] == place.inode for _, other in strangers)
    return may_have_lost or bool(gone)


def _is_same_file(place: Place, log: LogFile) -> bool:
    """Say whether `log` is the file of `place`. Device numbers change with a reboot: not asked."""
    return place.inode == log.identity[1] and log.size() >= place.offset and log.begins_as(place)


def _is_copy(log: LogFile, place: Place) -> bool:
    return place.head_bytes > 0 and log.begins_as(place)
