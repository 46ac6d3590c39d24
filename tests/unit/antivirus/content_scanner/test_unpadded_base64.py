"""Base64 as Matrix has it: padding may be there or not, and nothing else passes."""

import base64
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner import unpadded_base64


@given(st.binary())
def test_padded_and_unpadded_texts_are_read_in_both_alphabets(content: bytes) -> None:
    assert unpadded_base64.decode(unpadded_base64.encode(content)) == content
    assert unpadded_base64.decode(base64.b64encode(content).decode()) == content
    padded = base64.urlsafe_b64encode(content).decode()
    assert unpadded_base64.decode_url_safe(padded) == content
    assert unpadded_base64.decode_url_safe(padded.rstrip("=")) == content


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "AA=", "AAA==", "AAAA=", "=", "==", "AA===", "AA==AA==", "A A", "AAA\n", "\nAAAA", "ÄÄÄÄ"],
)
def test_what_is_no_base64_is_refused(text: str) -> None:
    for decode in (unpadded_base64.decode, unpadded_base64.decode_url_safe):
        with pytest.raises(ValueError, match=r"^not Base64$"):
            decode(text)


def test_each_alphabet_refuses_the_characters_of_the_other() -> None:
    for text in ("--__", "_AAA"):
        with pytest.raises(ValueError, match=r"^not Base64$"):
            unpadded_base64.decode(text)
    for text in ("++//", "/AAA"):
        with pytest.raises(ValueError, match=r"^not Base64$"):
            unpadded_base64.decode_url_safe(text)


@given(st.text(alphabet=string.printable, max_size=12))
def test_only_texts_of_the_alphabet_pass(text: str) -> None:
    try:
        unpadded_base64.decode(text)
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z0-9+/]*={0,2}", text)
