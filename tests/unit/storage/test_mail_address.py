"""One mail address, and nothing that a mail server would take for two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.storage.mail_address import is_mail_address


@pytest.mark.parametrize(
    "address",
    [
        "a@b.de",
        "betrieb@example.org",
        "it-betrieb+bum@mail.amt.example",
        "jörg.müller@bücher.example",
        "o'neil@x.example",
    ],
)
def test_addresses_are_taken(address: str) -> None:
    assert is_mail_address(address)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "betrieb",
            "@example.org",
            "betrieb@",
            "betrieb@localhost",
            "a@b@c.example",
            "a@b..example",
            "a@.example",
        ),
        *(
            "a@b.example,c@d.example",
            "a@b.example, c@d.example",
            "a,b@c.example",
            "a@b.example;c@d.example",
            "a;b@c.de",
        ),
        *(
            "A <a@b.example>",
            "<a@b.example>",
            "a@b.example (x)",
            '"a"@b.example',
            "group:a@b.example",
            "a\\b@c.example",
        ),
        *(" a@b.example", "a@b.example ", "a@b.example\nBcc: c@d.example", "a\0@b.example", "a" * 250 + "@b.example"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    assert not is_mail_address(text)


@given(st.text(alphabet='ab@.,; <>\n\r\t":\\', max_size=12))
def test_what_is_taken_has_one_at_sign_and_nothing_that_divides(text: str) -> None:
    if is_mail_address(text):
        assert text.count("@") == 1
        assert not set(text) & set(',; <>\n\r\t":\\')
