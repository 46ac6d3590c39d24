"""What may be the name of a partner, and in which form it is compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.federation.names import NameRefusedError, partner_name, server_name
from synapse_bum.identifiers import is_server_name


def canonical(text: str, *, own_name: str = "own.example", allow_wildcards: bool = True) -> str:
    return partner_name(text, own_name=own_name, allow_wildcards=allow_wildcards)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("a.example", "a.example"),
        ("A.Example", "a.example"),
        ("a.example:8448", "a.example:8448"),
        ("a.example:08448", "a.example:8448"),
        ("München.example", "xn--mnchen-3ya.example"),
        ("MÜNCHEN.example:1", "xn--mnchen-3ya.example:1"),
        ("straße.example", "xn--strae-oqa.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("*.bund.example", "*.bund.example"),
        ("*.Bünd.example:8448", "*.xn--bnd-hoa.example:8448"),
        ("localhost:8448", "localhost:8448"),
        ("sub.own.example", "sub.own.example"),
        ("own.example:8449", "own.example:8449"),
        ("*.own.example", "*.own.example"),
        ("1.example", "1.example"),
    ],
)
def test_names_have_one_form(written: str, compared: str) -> None:
    assert canonical(written) == compared
    assert canonical(compared) == compared


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "server name"),
        ("*", "whole labels"),
        ("*.", "server name"),
        ("*.*.example", "whole labels"),
        ("a.*.example", "whole labels"),
        ("*a.example", "whole labels"),
        ("*.de", "public suffix"),
        ("de", "public suffix"),
        ("com:8448", "public suffix"),
        ("*.co.uk", "public suffix"),
        ("gv.at", "public suffix"),
        ("own.example", "own name"),
        ("OWN.example", "own name"),
        ("127.0.0.1", "addresses"),
        ("127.1", "server name"),
        ("0x7f.0x1", "addresses"),
        ("10.0.0.1:8448", "addresses"),
        ("*.0.0.1", "server name"),
        ("[::1]", "addresses"),
        ("[::1]:8448", "addresses"),
        ("a..example", "server name"),
        (".a.example", "server name"),
        ("a.example.", "server name"),
        ("-a.example", "server name"),
        ("a_b.example", "server name"),
        ("a.example:0", "server name"),
        ("a.example:65536", "server name"),
        ("a.example:", "server name"),
        ("a.example/x", "server name"),
        ("@u:a.example", "server name"),
        ("a b.example", "server name"),
        ("a.example\n", "server name"),
        ("\u200d.example", "international"),
        ("x" * 64 + ".example", "server name"),
        ("ü" * 64 + ".example", "international"),
        ("a." * 120 + "example", "server name"),
    ],
)
def test_what_is_no_partner_is_refused_with_a_reason(written: str, sentence: str) -> None:
    with pytest.raises(NameRefusedError, match=sentence):
        canonical(written)


def test_wildcards_have_to_be_allowed() -> None:
    with pytest.raises(NameRefusedError, match="allow_wildcards: true"):
        canonical("*.bund.example", allow_wildcards=False)


@given(st.text(max_size=80))
def test_any_text_is_a_server_name_or_is_refused(text: str) -> None:
    try:
        name = server_name(text)
    except NameRefusedError:
        return
    assert is_server_name(name)
    assert name == name.lower()
    assert server_name(name) == name
