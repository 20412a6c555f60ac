"""Routes: paths with what differs from request to request folded, and the slowest of them.

A route stands on a public page. So nothing private may be in it, and no visitor may write on the
page by asking for a path. Of each segment of a path only words are kept; the rest becomes `:id`.

- A word is small letters with at most one digit at the end (`feed`, `oauth2`, `mp4`); a version
  (`v12`, `v1beta1`), a height of a picture (`720p`), a digit with two letters (`4k`, `2fa`); and,
  where it stands alone, letters that are all capital, or first in a word (`API`, `listVideos`).
- An id is a number, or hex: from 8 characters on, or from 4 on if it has a digit that makes it
  no word. So `feed`, `face` and `added` are words, `8f3a` and `deadbeef` are ids.
- Parts of a segment are set apart by `.`, `_`, `-` and `~`, and what reaches from its first id to
  its last becomes one `:id`: `video_:id`, `thumb-:id.jpg`, and a UUID is `:id`.
- Everything else is a token, of a video (`dQw4w9WgXcQ`), a session or an invitation: the whole
  segment is `:id`. Only a file's ending is kept, `:id.mp4`, where it is all that is behind a dot.
- With any character outside `A-Z a-z 0-9 . _ ~ -`, longer than 32 characters even when it is
  folded, or of more than 5 parts, a segment is `:id`. Six segments are kept; `/…` are the others.

An 11-character id of BoTTube, which is base64url, nearly always has a digit, or capitals where no
word has them: of random ones 1 in 4,000 is kept as words. The price are words that look like ids:
`getTimeline`, with a capital in the middle of just 11 letters, `sha256`, `top10`. And a word that a
platform answers to whatever it is, such as a user's name, stays one.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from store.histograms import nearest_rank

_PLACE: Final = ":id"
_OTHERS: Final = "…"
_MOST_SEGMENTS: Final = 6
_MOST_PARTS: Final = 5
_LONGEST_SEGMENT: Final = 32
#: Nothing longer is looked at: of a path, and of a segment before it is folded.
_LONGEST_PATH: Final = 512
_LONGEST_TOLD: Final = 96
_VIDEO_ID_LENGTH: Final = 11

#: What most segments are, told at once.
_PLAIN = re.compile(
    r"(?P<word>(?![a-f]{8,}\Z)[a-z]{1,24})"
    r"|(?P<id>[0-9]+|[0-9a-f]{8,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
)
_PUBLIC = re.compile(r"(?:[A-Za-z0-9._~-]|:id)+")
_SEPARATOR = re.compile(r"([._~-])")
_ENDING = re.compile(r"[A-Za-z]{1,5}[0-9]?|m3u8|m4[asv]|7z")
_PART = re.compile(
    r"(?P<id>:id|[0-9]+|[0-9a-f]{8,}|[0-9A-F]{8,})"
    r"|(?P<word>(?:|[a-z]{1,24})[0-9]?"
    r"|v[0-9]{1,2}(?:(?:alpha|beta|rc)[0-9]?)?|[0-9]{3,4}p|[0-9][a-z]{1,2})"
    r"|(?P<short_hex>[0-9a-f]{4,7})"
)
_WORD_WITH_CAPITALS = re.compile(
    r"[A-Z]{1,10}[0-9]?|[A-Z][a-z]{1,23}[0-9]?"
    # The letters of a video's id may look like this, so it must not have as many.
    r"|(?![A-Za-z]{11}\Z)(?![A-Za-z]{25})[A-Z]?[a-z]+(?:[A-Z][a-z]{2,})+"
)
_IDS: Final = ("id", "short_hex")

#: The request was not understood, or nothing is there, or not by that method: nobody's route.
_NOT_SERVED: Final = frozenset((400, 404, 405))
_CLIENTS_FAULT: Final = range(400, 500)


def fold(path: str) -> str:
    """Return the route of `path`. A route is its own route."""
    return _fold(path[:_LONGEST_PATH])


def slowest_routes(requests: Iterable[tuple[str, int, int]], most: int) -> list[dict[str, Any]]:
    """Return at most `most` routes of `requests`, which are path, duration in µs and status.

    Each is `{"route", "count", "p50", "p95"}`, exact nearest ranks in ms, the slowest p95 first.
    What was answered 400, 404 or 405 does not count, and a route that was never answered but with
    a client's fault (4xx) is none: else whoever tries doors would write their names on the page.
    """
    durations_us: defaultdict[str, list[int]] = defaultdict(list)
    served = set()
    for path, duration_us, status in requests:
        if status not in _NOT_SERVED:
            route = fold(path)
            durations_us[route].append(duration_us)
            if status not in _CLIENTS_FAULT:
                served.add(route)
    routes = [_figures(route, sorted(durations_us[route])) for route in served]
    routes.sort(key=lambda one: (-one["p95"], -one["count"], one["route"]))
    return routes[:most]


def _figures(route: str, ordered_us: list[int]) -> dict[str, Any]:
    count = len(ordered_us)
    p50_ms, p95_ms = (ordered_us[nearest_rank(p, count) - 1] / 1000 for p in (50, 95))
    return {"route": route, "count": count, "p50": p50_ms, "p95": p95_ms}


@lru_cache(maxsize=4096)
def _fold(path: str) -> str:
    bare = path.partition("?")[0].partition("#")[0]
    segments = [segment for segment in bare.split("/") if segment]
    kept = [_fold_segment(segment) for segment in segments[:_MOST_SEGMENTS]]
    if len(segments) > _MOST_SEGMENTS:
        kept.append(_OTHERS)
    return "/" + "/".join(kept)


def _fold_segment(segment: str) -> str:
    plain = _PLAIN.fullmatch(segment)
    if plain is not None:
        return segment if plain.lastgroup == "word" else _PLACE
    if len(segment) > _LONGEST_TOLD or not _PUBLIC.fullmatch(segment):
        return _PLACE
    # Parts stand at even places, what sets them apart at odd ones.
    parts, ending = _SEPARATOR.split(segment), ""
    if len(parts) > 1 and parts[-2] == "." and _ENDING.fullmatch(parts[-1]):
        parts, ending = parts[:-2], f".{parts[-1]}"
    if not (len(parts) == 1 and _WORD_WITH_CAPITALS.fullmatch(parts[0])):
        kinds = [_kind(part) for part in parts[::2]]
        if None in kinds:
            return _PLACE if "." in parts else _PLACE + ending
        ids = [2 * place for place, kind in enumerate(kinds) if kind in _IDS]
        if ids:
            parts[ids[0] : ids[-1] + 1] = [_PLACE]
    folded = "".join(parts) + ending
    says_something = ending or any(parts[::2])
    has_many_parts = len(parts[::2]) + bool(ending) > _MOST_PARTS
    if not says_something or has_many_parts or len(folded) > _LONGEST_SEGMENT:
        return _PLACE
    return folded


def _kind(part: str) -> str | None:
    """Return which of the groups `part` is, None for a token."""
    match = _PART.fullmatch(part)
    return None if match is None else match.lastgroup
