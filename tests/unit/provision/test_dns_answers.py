"""What `synapse-bum check --online` reads of a DNS server: whom to ask, and whatever that answers."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.names import dns

from synapse_bum.cli.check.command import _dns_server
from synapse_bum.cli.check.configuration import ConfigurationError
from synapse_bum.cli.check.online.network import Target, UnansweredError, targets_in
from synapse_bum.testing.dns_answers import srv_answer

pytestmark = pytest.mark.any_synapse


def test_an_answer_of_the_dns_is_read() -> None:
    assert targets_in(srv_answer([("a.example", 1), ("b.example", 2)]), "x") == [
        Target(0, "a.example", 1),
        Target(1, "b.example", 2),
    ]
    assert targets_in(srv_answer([], dns.ENAME), "x") == []
    assert targets_in(srv_answer([(".", 0)]), "x") == [], "which says that there is no such service"


@pytest.mark.parametrize(
    ("received", "sentence"),
    [
        (srv_answer([], dns.ESERVER), "could not find out (DNS error 2)"),
        (srv_answer([], dns.EREFUSED), "could not find out (DNS error 5)"),
        (srv_answer([("a.example", 1)], is_cut=True), "is not whole"),
        (b"\x00\x01\x80\x00\x00", "answers with something else"),
        (srv_answer([("a.example", 1)])[:-4], "is not whole"),
        (b"", "answers with something else"),
    ],
)
def test_a_dns_server_that_does_not_know(received: bytes, sentence: str) -> None:
    with pytest.raises(UnansweredError, match=re.escape(sentence)):
        targets_in(received, "192.0.2.53")


@given(st.one_of(st.binary(max_size=120), st.binary(max_size=60).map(lambda end: srv_answer([("a.b", 1)])[:12] + end)))
def test_whatever_a_dns_server_answers_is_read_or_a_sentence(received: bytes) -> None:
    with contextlib.suppress(UnansweredError):
        targets_in(received, "192.0.2.53")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.53", ("192.0.2.53", 53)),
        ("192.0.2.53:5353", ("192.0.2.53", 5353)),
        ("2001:db8::53", ("2001:db8::53", 53)),
        ("[2001:db8::53]", ("2001:db8::53", 53)),
        ("[2001:db8::53]:5353", ("2001:db8::53", 5353)),
        ("::1", ("::1", 53)),
    ],
)
def test_dns_servers_of_both_families(text: str, expected: tuple[str, int]) -> None:
    assert _dns_server(text) == expected


@pytest.mark.parametrize(
    "text",
    ["dns.example", "192.0.2.1:", "192.0.2.1:70000", "192.0.2.1:0", "[2001:db8::53", "[2001:db8::53]x", "", ":53"],
)
def test_what_is_no_dns_server_is_a_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError, match="must be"):
        _dns_server(text)
