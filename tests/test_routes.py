"""Routes: ids in paths are folded, words are kept, and nothing private or foreign comes through."""

import base64
import random
import re
import secrets
import string
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from daemon.latency.routes import fold, slowest_routes
from tests.support.properties import unhurried

BASE64URL = f"{string.ascii_letters}{string.digits}-_"
#: Paths as visitors and scanners make them: pieces that matter, and anything at all.
pieces = st.sampled_from(
    [
        "/",
        "//",
        ":id",
        "…",
        "a",
        "watch",
        "V1",
        "8f3a9c0d",
        "123",
        ".",
        "..",
        "-",
        "_",
        "~",
        "?",
        "#",
    ]
)
paths = st.one_of(
    st.text(max_size=60),
    st.text(f"{BASE64URL}/.~:", max_size=120),
    st.lists(pieces, max_size=30).map("".join),
)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        # Numbers, hex, UUIDs and BoTTube's ids of videos.
        ("/api/videos/123/comments", "/api/videos/:id/comments"),
        ("/2026/11/20", "/:id/:id/:id"),
        ("/tx/8f3a9c0d", "/tx/:id"),
        ("/tx/8F3A9C0D11", "/tx/:id"),
        ("/tx/deadbeef", "/tx/:id"),
        ("/job/550e8400-e29b-41d4-a716-446655440000", "/job/:id"),
        ("/job/550E8400-E29B-41D4-A716-446655440000", "/job/:id"),
        ("/job/550e8400e29b41d4a716446655440000", "/job/:id"),
        ("/watch/dQw4w9WgXcQ", "/watch/:id"),
        ("/watch/_mWzJ-Kx3Yp", "/watch/:id"),
        ("/watch/kRtZwQpLmXn", "/watch/:id"),
        # Ids within a segment, and files that are named by one.
        ("/f/video_8f3a9c0d11", "/f/video_:id"),
        (f"/f/imp_{'0a' * 16}", "/f/imp_:id"),
        ("/f/8f3a9c0d11.mp4", "/f/:id.mp4"),
        ("/f/dQw4w9WgXcQ.m3u8", "/f/:id.m3u8"),
        ("/f/thumb-123.jpg", "/f/thumb-:id.jpg"),
        ("/f/thumb-8f3a-large.jpg", "/f/thumb-:id-large.jpg"),
        ("/f/video-550e8400-e29b-41d4-a716-446655440000.mp4", "/f/video-:id.mp4"),
        ("/f/thumb_dQw4w9WgXcQ.jpg", "/f/:id.jpg"),
        ("/f/clip-2026-11-20-final.mp4", "/f/clip-:id-final.mp4"),
        ("/lib/jquery-3.6.0.min.js", "/lib/jquery-:id.min.js"),
        # Words, also those of eleven letters or of the letters of hex.
        ("/api/experiments", "/api/experiments"),
        ("/leaderboard/impressions/suggestions", "/leaderboard/impressions/suggestions"),
        ("/Leaderboard", "/Leaderboard"),
        ("/two-factors", "/two-factors"),
        ("/top_creator", "/top_creator"),
        ("/feed/face/added/decade", "/feed/face/added/decade"),
        ("/api/v1/oauth2/token", "/api/v1/oauth2/token"),
        ("/v12/v1beta1/2fa", "/v12/v1beta1/2fa"),
        ("/hls/720p/master.m3u8", "/hls/720p/master.m3u8"),
        ("/API/listVideos/README.md", "/API/listVideos/README.md"),
        ("/.well-known/security.txt", "/.well-known/security.txt"),
        # Slashes, and what is no path.
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/watch/", "/watch"),
        ("//api///feed//", "/api/feed"),
        ("api/feed", "/api/feed"),
        ("*", "/:id"),
        ("/./..", "/:id/:id"),
        ("/a/b/c/d/e/f", "/a/b/c/d/e/f"),
        ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/…"),
    ],
)
def test_a_path_has_the_route_that_a_person_would_name(path: str, route: str) -> None:
    assert fold(path) == route


@pytest.mark.parametrize(
    "segment",
    [
        "ada@platform.example",
        "ada%40platform.example",
        "Ada Lovelace",
        "<script>alert(1)",
        '"onmouseover=alert(1)',
        "{{7*7}}",
        "naïve",
        "１２３",
        "\x00",
        "\u202e",
        "\ud800",
        "a;jsessionid=8f3a",
        "javascript:alert(1)",
        "this-platform-was-hacked-by-a-visitor",
        "all.your.base.are.belong.to.us",
        "a" * 33,
        "A" * 11,
        f"words-{'and-more-' * 9}words",
        "aB3dE5",
        "user123",
        "s3cretPassw0rd",
        "0123456789abcdefghijklmnop",
        "x.y.z9k8j7.d4.f5",
        ".",
        "..",
        "---",
        f"{'8f3a' * 30}",
    ],
)
def test_a_segment_that_is_private_or_a_visitors_own_words_is_folded_whole(segment: str) -> None:
    assert fold(f"/u/{segment}/edit") == "/u/:id/edit"


@pytest.mark.parametrize("query", ["?next=/home/secret", "#/home/secret", "?a=1?b=/2"])
def test_nothing_of_a_query_is_in_a_route(query: str) -> None:
    assert fold(f"/api/feed{query}") == "/api/feed"


@unhurried
@given(path=paths)
@example(path="/thumb-1-2.abc.def")
@example(path="/-:id-:id.:id")
@example(path=f"/{'a' * 28}-1-b")
def test_a_route_is_its_own_route(path: str) -> None:
    assert fold(fold(path)) == fold(path)


@unhurried
@given(path=paths)
@example(path=f"/{'a-' * 500}")
@example(path="/" * 5000 + "a")
def test_a_route_is_short_and_of_harmless_characters_whatever_the_path(path: str) -> None:
    segments = fold(path).split("/")
    assert segments[0] == ""
    assert len(segments) <= 8
    for number, segment in enumerate(segments[1:]):
        assert segment or len(segments) == 2
        if segment == "…":
            assert number == 6
        else:
            assert re.fullmatch(r"[A-Za-z0-9._~-]*(:id)?[A-Za-z0-9._~-]*", segment)
            assert len(segment) <= 32
    assert len(fold(path)) <= 6 * 33 + 2


@unhurried
@given(path=paths, number=st.integers(0, 10**20), other=st.integers(0, 10**20))
def test_paths_that_differ_in_a_number_have_one_route(path: str, number: int, other: int) -> None:
    assume(not set(path) & set("?#"))
    start = f"/{path}"
    assert fold(f"{start}/{number}/x") == fold(f"{start}/{other}/x")


@unhurried
@given(one=st.uuids(), name=st.sampled_from(["", "video_", "imp-", "frame."]))
def test_no_hex_digit_of_a_uuid_is_in_a_route(one: Any, name: str) -> None:
    for told in (str(one), one.hex, str(one).upper()):
        if name == "" or told == told.lower():
            assert fold(f"/x/{name}{told}") == f"/x/{name}:id"


@unhurried
@given(address=st.emails())
def test_no_part_of_an_address_of_e_mail_is_in_a_route(address: str) -> None:
    assume(not set(address) & set("/?#"))
    assert fold(f"/u/{address}") == "/u/:id"


def test_of_random_ids_of_videos_hardly_one_is_taken_for_words() -> None:
    dice = random.Random(7)
    ids = ["".join(dice.choices(BASE64URL, k=11)) for _ in range(40_000)]
    strange = {fold(f"/watch/{one}") for one in ids} - {"/watch/:id"}
    assert len(strange) <= 40


@pytest.mark.parametrize("size", [16, 24, 32, 48, 64])
def test_no_token_that_guards_something_comes_through(size: int) -> None:
    dice = random.Random(7)
    tokens = [base64.urlsafe_b64encode(dice.randbytes(size)).decode() for _ in range(4000)]
    tokens += [token.rstrip("=") for token in tokens]
    tokens += [dice.randbytes(size).hex() for _ in range(1000)]
    assert {fold(f"/reset/{token}") for token in tokens} == {"/reset/:id"}


def test_a_signed_token_with_dots_comes_not_through() -> None:
    for _ in range(200):
        parts = (f'{{"alg":"HS256","n":{secrets.randbelow(9**9)}}}', '{"sub":"ada"}')
        told = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
        assert fold(f"/s/{'.'.join([*told, secrets.token_urlsafe(32)])}") == "/s/:id"


def test_the_slowest_routes_have_exact_ranks_and_are_ordered_by_p95() -> None:
    # Of twenty durations p50 is the tenth, p95 the nineteenth.
    watched = [(f"/watch/{number}", 1_000 * number, 200) for number in range(20, 0, -1)]
    fed = [("/api/feed", 30_000, 200), ("/api/feed", 10_123, 500)]
    assert slowest_routes([*watched, *fed], 5) == [
        {"route": "/api/feed", "count": 2, "p50": 10.123, "p95": 30.0},
        {"route": "/watch/:id", "count": 20, "p50": 10.0, "p95": 19.0},
    ]


def test_equally_slow_routes_are_ordered_by_count_and_then_by_name() -> None:
    told = slowest_routes([(path, 5_000, 200) for path in ("/c", "/b", "/a", "/d", "/d")], 3)
    assert [one["route"] for one in told] == ["/d", "/a", "/b"]


@pytest.mark.parametrize("status", [400, 404, 405])
def test_what_nobody_serves_is_no_request_of_a_route(status: int) -> None:
    told = slowest_routes([("/wp-login.php", 9_000, status), ("/a", 1_000, 200)], 5)
    assert [one["route"] for one in told] == ["/a"]
    told = slowest_routes([("/watch/1", 9_000, status), ("/watch/2", 1_000, 200)], 5)
    assert told == [{"route": "/watch/:id", "count": 1, "p50": 1.0, "p95": 1.0}]


def test_a_route_of_which_only_refusals_are_known_is_none() -> None:
    doors = [("/.hacked-by", 9_000, 403), ("/.hacked-by", 9_000, 401)]
    login = [("/login", 2_000, 401), ("/login", 1_000, 302)]
    assert slowest_routes([*doors, *login], 5) == [
        {"route": "/login", "count": 2, "p50": 1.0, "p95": 2.0}
    ]


def test_a_route_that_only_fails_and_one_whose_status_is_not_told_are_routes() -> None:
    told = slowest_routes([("/broken", 9_000, 500), ("/custom", 8_000, 0)], 5)
    assert [one["route"] for one in told] == ["/broken", "/custom"]


def test_without_requests_there_are_no_routes() -> None:
    assert slowest_routes([], 5) == []
    assert slowest_routes([("/nothing", 1, 404)], 5) == []


requests = st.tuples(
    st.sampled_from(["/a", "/b/1", "/b/2", "/c", "/d", "/e", "/f"]),
    st.integers(0, 50),
    st.sampled_from([200, 200, 301, 404, 429, 503]),
)


@unhurried
@given(told=st.lists(requests, max_size=120), most=st.integers(1, 6))
def test_any_requests_have_numpys_nearest_ranks_by_route(
    told: list[tuple[str, int, int]], most: int
) -> None:
    served = {path[:2] for path, _, status in told if status not in (404, 429)}
    expected = []
    for start in served:
        mine = [us for path, us, status in told if path.startswith(start) and status != 404]
        p50, p95 = np.percentile(mine, [50, 95], method="inverted_cdf") / 1000
        route = "/b/:id" if start == "/b" else start
        expected.append((-p95, -len(mine), route, p50))
    assert [
        (-one["p95"], -one["count"], one["route"], one["p50"]) for one in slowest_routes(told, most)
    ] == sorted(expected)[:most]
