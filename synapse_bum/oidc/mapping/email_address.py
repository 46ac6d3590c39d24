"""E-mail addresses: which ones count, and the one form in which they are compared."""

import re
from typing import Final

_LONGEST: Final = 254
"""Bytes that fit into a path of SMTP (RFC 5321 section 4.5.3.1.3, without its angle brackets)."""

# Plain addresses only: a quoted local part, a comment or a display name would be read differently by different readers.
_PLAIN: Final = re.compile(r'([^\s@<>()\[\]:;,"\\]{1,64})@([\w-]+(?:\.[\w-]+)*)')


def canonical_email(written: str) -> str | None:
    """Brings an address into the form in which Synapse stores and compares it (`util/threepids.py`).

    Args:
        written: anything.

    Returns:
        The local part with its case folded and the domain in lower case; None when it is no plain address.
    """
    if len(written) > _LONGEST or not written.isprintable():
        return None
    matched = _PLAIN.fullmatch(written)
    if matched is None:
        return None
    address = f"{matched[1].casefold()}@{matched[2].lower()}"
    return address if len(address.encode()) <= _LONGEST else None
