"""What the configuration takes for a mail address: of operators, and of the parties of an invoice. Pure."""

import re
from typing import Final

from synapse_bum.config import matching

_MAX_BYTES: Final = 254  # RFC 5321 section 4.5.3.1.3, without the brackets

# As the rule BR-DE-28 of XRechnung has it, and without what would divide or quote addresses in the head of a mail.
_MAIL_ADDRESS: Final = re.compile(r"[^@\s,;:<>()\[\]\\\"]+@(?:[^@.\s,;:<>()\[\]\\\"]+\.)+[^@.\s,;:<>()\[\]\\\"]+")


def is_mail_address(value: str) -> bool:
    """Whether this is one mail address, and nothing but it."""
    return value.isprintable() and len(value.encode()) <= _MAX_BYTES and _MAIL_ADDRESS.fullmatch(value) is not None


mail_address: Final = matching(is_mail_address, "one mail address, for example `name@example.org`")
