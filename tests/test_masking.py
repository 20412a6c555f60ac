"""What must never survive on its way into a log line or onto a terminal."""

import socket
import string

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from config.masking import masked

MARK = "Zq7Yw9"
#: Whatever can stand in a URL that a driver or an HTTP library takes: no white space.
URL_CHARACTERS = st.characters(min_codepoint=0x21, max_codepoint=0x2FFF, exclude_categories="ZC")
ANY = st.text(URL_CHARACTERS, max_size=12)
NO_SEPARATOR = st.text(
    st.sampled_from(string.ascii_letters + string.digits + "._~!$&'()*+,;=%-@"), max_size=10
)
DATABASES = st.sampled_from(
    ["postgresql", "postgresql+psycopg", "postgresql+psycopg_async", "mysql+pymysql", "POSTGRESQL"]
)
HTTP = st.sampled_from(["http", "https", "HTTPS"])
HOSTS = st.sampled_from(["db.example", "127.0.0.1:5432", "[::1]:5432", "localhost"])
PATHS = st.sampled_from(["", "/", "/health", "/a/b.c"])
AROUND = st.sampled_from(
    [
        ("", ""),
        ("'", "'"),
        ('"', '"'),
        ("(", ")"),
        ("cannot open ", " now"),
        ("a:", ", b"),
        ("\n", "\n"),
    ]
)


@given(DATABASES | HTTP, NO_SEPARATOR, ANY, ANY, HOSTS, PATHS, AROUND)
@example("postgresql", "bob@corp", "", "", "db.example", "/x", ("", ""))
@example("postgresql", "bob", "pa/", "?w#", "db.example", "/x", ("", ""))
@example("postgresql+psycopg_async", "bob", "", "@", "db.example", "/x", ("'", "'"))
def test_a_password_in_a_url_never_survives(
    scheme: str, user: str, head: str, tail: str, host: str, path: str, around: tuple[str, str]
) -> None:
    text = f"{scheme}://{user}:{head}{MARK}{tail}@{host}{path}".join(around)
    assert MARK not in masked(text)


@given(HTTP, NO_SEPARATOR, NO_SEPARATOR, HOSTS, PATHS, AROUND)
def test_a_token_in_the_user_part_never_survives(
    scheme: str, head: str, tail: str, host: str, path: str, around: tuple[str, str]
) -> None:
    text = f"{scheme}://{head}{MARK}{tail}@{host}{path}".join(around)
    assert MARK not in masked(text)


@given(DATABASES | HTTP, HOSTS, PATHS, st.sampled_from("?#"), ANY, ANY, AROUND)
@example("https", "db.example", "/", "?", "t='", "", ("", ""))
@example("https", "db.example", "/", "#", "a?t=", "", ("", ""))
def test_a_token_in_the_query_or_the_fragment_never_survives(
    scheme: str, host: str, path: str, mark: str, head: str, tail: str, around: tuple[str, str]
) -> None:
    text = f"{scheme}://{host}{path}{mark}{head}{MARK}{tail}".join(around)
    assert MARK not in masked(text)


@given(st.lists(st.sampled_from(["http://", "u", ":", "@", "?", "#", "/", "x=", " ", "'", "h"])))
def test_masking_twice_is_masking_once(parts: list[str]) -> None:
    once = masked("".join(parts))
    assert masked(once) == once


@given(st.text().filter(lambda text: "://" not in text and "url: /" not in text.lower()))
def test_a_text_without_a_url_stays_as_it_is(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("sqlite:////var/lib/opsnap/opsnap.db", "sqlite:////var/lib/opsnap/opsnap.db"),
        ("http://127.0.0.1:8097/health", "http://127.0.0.1:8097/health"),
        ("https://node-1.example/health", "https://node-1.example/health"),
        ("postgresql://reader@db.example/x", "postgresql://reader@db.example/x"),
        ("postgresql://reader:pw@db.example/x", "postgresql://reader:***@db.example/x"),
        ("https://token@node-1.example/health", "https://***@node-1.example/health"),
        ("'https://node-1.example/a?t=x' failed", "'https://node-1.example/a?***' failed"),
        (
            "http://a.example:80/ and postgresql://u:pw@db.example/x and ops@mail.example",
            "http://a.example:80/ and postgresql://u:***@db.example/x and ops@mail.example",
        ),
    ],
)
def test_what_is_no_secret_stays_readable(text: str, left: str) -> None:
    assert masked(text) == left


def test_the_error_of_a_request_that_was_refused_shows_no_token() -> None:
    # A port that was free a moment ago; the library's message has the path without its host.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    session = requests.Session()
    session.trust_env = False
    with session, pytest.raises(requests.ConnectionError) as refused:
        session.get(f"http://user:{MARK}@127.0.0.1:{port}/health?token={MARK}", timeout=5)
    assert MARK in repr(refused.value)
    assert MARK not in masked(repr(refused.value))
    assert "/health" in masked(repr(refused.value))
