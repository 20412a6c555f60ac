"""A configuration with a trouble of every kind, and texts that try to become markup."""

from typing import Any, Final

from tests.support.watched_platform import WatchedPlatform

#: Everyone can name a video or a bucket; each of these would run if it became markup.
HOSTILE_TEXTS: Final = (
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(2)>',
    "'><script>alert(3)</script>",
    "</title></th><script>alert(4)</script>",
    "{{ 7 * 7 }} ${7*7} &lt;b&gt;",
)
#: Nowhere to break a line.
ENDLESS_WORD: Final = "endless" * 20


def make_troubled(tree: dict[str, Any]) -> None:
    """One node ok, one slow, two down; one section of each state but stale, which has to begin."""
    tree["platform"] |= {
        "name": f"BoT{HOSTILE_TEXTS[3]}",
        "region": f"{HOSTILE_TEXTS[1]} {ENDLESS_WORD}",
        "description": f"{HOSTILE_TEXTS[0]} {ENDLESS_WORD}",
    }
    places = (HOSTILE_TEXTS[0], ENDLESS_WORD, HOSTILE_TEXTS[1], "Hong Kong")
    for node, place in zip(tree["nodes"], places, strict=True):
        node |= {"location": place, "warn_ms": 250}
    tree["state"]["counts"]["likes"] = "SELECT COUNT(*) FROM a_table_that_is_not_there"
    tree["queue"]["table"] = "another_table_that_is_not_there"
    tree["titles"] = {"outcomes": HOSTILE_TEXTS[2], "experiments": ENDLESS_WORD}
    tree["latency"]["classes"][1]["title"] = HOSTILE_TEXTS[0]
    del tree["pipeline"]


def name_things(platform: WatchedPlatform) -> None:
    """Let visitors of the platform choose names of buckets and videos that attack the page."""
    names = (*HOSTILE_TEXTS, ENDLESS_WORD)
    now_s = platform.query("SELECT CAST(strftime('%s', 'now') AS REAL)")[0][0]
    platform.insert(
        "INSERT INTO feed_impressions VALUES (?, 'v', 's', ?, 'x', 0, ?, 0, 0)",
        [(f"hostile-{number}", name, now_s) for number, name in enumerate(names)],
    )
    platform.insert(
        "INSERT INTO variant_impressions (video_id, variant_key, event_type, created_at)"
        " VALUES (?, 'A', 'impression', ?)",
        [(name, now_s) for name in names[1:] for _ in range(1000)],
    )
