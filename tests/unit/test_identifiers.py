"""Which texts pass for a host, a server name and the Matrix identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum import identifiers


@pytest.mark.parametrize("text", ["example.org", "a", "EXAMPLE.org", "127.0.0.1", "[::1]", "xn--mnchen-3ya.example"])
def test_hosts(text: str) -> None:
    assert identifiers.is_host(text)
    assert identifiers.is_server_name(text)
    assert identifiers.is_server_name(f"{text}:8448")


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a..b", "-a", "a-", "a/b", "a b", "a\n", "a%2Fb", "a\0", "1.2.3", "256.1.1.1", "[::g]"),
        *("[1.2.3.4]", "::1", "a_b.example", "münchen.example", "example.org.", "a" * 64),
    ],
)
def test_no_hosts(text: str) -> None:
    assert not identifiers.is_host(text)
    assert not identifiers.is_server_name(text)


@pytest.mark.parametrize("text", ["a:0", "a:65536", "a:", "a:1:2", "a:8a", "a" * 300, ":80", "a:\u0663"])
def test_no_server_names(text: str) -> None:
    assert not identifiers.is_server_name(text)


@pytest.mark.parametrize("text", ["@a:b.example", "@a/b=c_d-e.f+g:b.example:8448", "@Jürgen Groß:b.example"])
def test_user_ids_historical_ones_included(text: str) -> None:
    assert identifiers.is_user_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "@", "a:b", "@:b", "@a", "@a:", "@a:/b", "@a\n:b", "@a\x7f:b", "@a\0:b", "@\ud800:b", "@" + "a" * 254 + ":b"],
)
def test_no_user_ids(text: str) -> None:
    assert not identifiers.is_user_id(text)


def test_room_ids_of_old_and_new_room_versions() -> None:
    assert identifiers.is_room_id("!abc:b.example")
    assert identifiers.is_room_id("!" + "A" * 43)
    assert not identifiers.is_room_id("!abc")
    assert not identifiers.is_room_id("#abc:b.example")


def test_event_ids() -> None:
    assert identifiers.is_event_id("$abc")
    assert identifiers.is_event_id("$abc:b.example")
    assert not identifiers.is_event_id("$")
    assert not identifiers.is_event_id("$a\n")
    assert not identifiers.is_event_id("abc")


@given(st.text(min_size=1, max_size=12))
def test_a_media_id_is_never_a_path(text: str) -> None:
    if identifiers.is_media_id(text) or identifiers.is_run_id(text):
        assert not set(text) & set("/\\.\0%: \n")


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Admin.Example", "admin.example"),
        ("admin.example:8448", "admin.example"),
        ("admin.example:", "admin.example"),
        ("[::1]:8008", "[::1]"),
        ("[::1]", "[::1]"),
        ("127.0.0.1:8008", "127.0.0.1"),
        ("admin.example.", ""),
        ("admin.example:80:90", ""),
        ("admin.example, other.example", ""),
        ("user@admin.example", ""),
        ("", ""),
        ("::1", ""),
    ],
)
def test_the_host_of_a_host_header(header: str, host: str) -> None:
    assert identifiers.host_of_header(header) == host
