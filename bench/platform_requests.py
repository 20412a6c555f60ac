"""Requests in BoTTube's shape, as its rings and logs are full of them: no two quite the same."""

import random
from collections.abc import Iterator
from typing import NamedTuple

USERS, ADMIN = "latency", "latency_admin"
#: A visitor in a hundredth of a second, on the average.
_PER_S = 100

_AGENTS = [
    f"Mozilla/5.0 ({system}) AppleWebKit/{build}.36 (KHTML, like Gecko) Chrome/{build - 400}.0 "
    f"Safari/{build}.36"
    for build in range(537, 545)
    for system in ("X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X")
] + ["python-requests/2.32.3", "curl/8.5.0", "bottube-agent/1.2 (+https://agents.example/about)"]
_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STATUSES = [200] * 90 + [304] * 4 + [404] * 3 + [302, 500, 503]


class _Kind(NamedTuple):
    """A kind of request: `{}` is an id. `class_key` is None for what no class counts."""

    method: str
    path: str
    query: str
    class_key: str | None
    #: Parameters of a log-normal distribution of microseconds.
    mu: float
    sigma: float


_KINDS = [
    *[_Kind("GET", "/watch/{}", "", USERS, 9.0, 0.8)] * 30,
    *[_Kind("GET", "/api/feed", "?page={}&bucket=hybrid-v1", USERS, 9.5, 0.9)] * 20,
    *[_Kind("POST", "/api/feed/watch", "", USERS, 8.2, 0.5)] * 15,
    *[_Kind("GET", "/api/v/{}/comments", "?sort=new", USERS, 8.8, 0.7)] * 10,
    *[_Kind("GET", "/agents/agent-{}", "", USERS, 9.2, 0.8)] * 6,
    *[_Kind("GET", "/", "", USERS, 9.3, 0.6)] * 5,
    *[_Kind("GET", "/api/search", "?q=cats+in+space+{}", USERS, 10.5, 1.0)] * 4,
    *[_Kind("GET", "/static/app.{}.js", "", None, 6.5, 0.4)] * 5,
    *[_Kind("GET", "/health", "", None, 7.0, 0.2)] * 2,
    *[_Kind("GET", "/api/engineering", "", None, 7.0, 0.2)],
    *[_Kind("POST", "/admin/backfill/{}", "", ADMIN, 17.5, 0.5)] * 2,
]


class PlatformRequest(NamedTuple):
    """One request, with all that a log tells of it. `target` has the query string, `path` not."""

    ended_at_us: int
    duration_us: int
    method: str
    path: str
    target: str
    status: int
    sent_bytes: int
    address: str
    referrer: str
    agent: str
    class_key: str | None


def platform_requests(count: int, *, seed: int, ends_at_s: float) -> Iterator[PlatformRequest]:
    """Yield `count` requests in the order in which they ended, the last at `ends_at_s` or before.

    There are about a hundred a second.
    """
    dice = random.Random(seed)
    at_us = int((ends_at_s - count / _PER_S) * 1e6)
    for _ in range(count):
        at_us += int(dice.random() * 1e6 / _PER_S)
        kind = dice.choice(_KINDS)
        name = "".join(dice.choices(_ID_LETTERS, k=11))
        path, query = kind.path.replace("{}", name), kind.query.replace("{}", name)
        yield PlatformRequest(
            ended_at_us=at_us,
            duration_us=int(dice.lognormvariate(kind.mu, kind.sigma)),
            method=kind.method,
            path=path,
            target=path + query,
            status=dice.choice(_STATUSES),
            sent_bytes=int(dice.random() * 50_000),
            address=f"203.0.113.{int(dice.random() * 256)}",
            referrer="-" if dice.random() < 0.4 else f"https://bottube.example/watch/{name}",
            agent=dice.choice(_AGENTS),
            class_key=kind.class_key,
        )
