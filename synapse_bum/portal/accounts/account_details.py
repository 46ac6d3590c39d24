"""What accounts may be called, which mail addresses they have, and the passwords they begin with. Pure."""

import re
import secrets
from typing import Final

from synapse_bum.portal.forms.form import Complaint

MAX_DISPLAY_NAME: Final = 256
"""Characters; Synapse takes no more (`MAX_DISPLAYNAME_LEN` in `synapse/handlers/profile.py`)."""

MIN_PASSWORD: Final = 12
"""Characters of a password that is typed in."""

_MAX_PASSWORD_BYTES: Final = 72
"""bcrypt looks at no more."""

_MAX_USER_ID_BYTES: Final = 255
_LOCALPART: Final = re.compile(r"[a-z0-9._=/+-]+", re.ASCII)
_MAIL: Final = re.compile(r"[^\s@<>,;\"']+@[^\s@<>,;\"']+\.[^\s@<>,;\"'.]+")
_MAX_MAIL: Final = 254
_MAX_ADDRESSES: Final = 20

_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without what looks like something else: 0 O o, 1 l I."""

_GROUPS: Final = 4
_GROUP_LENGTH: Final = 5


def new_password() -> str:
    """Makes a password that can be read out: four groups of five, some 115 bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


def name_complaint(name: str, server_name: str = "") -> Complaint | None:
    """What is wrong with the first part of a user id (specification, appendices, "User Identifiers").

    Synapse keeps names of digits alone for guests, and those that begin with `_` for bridges.
    """
    if not name:
        return Complaint("forms.required")
    if _LOCALPART.fullmatch(name) is None:
        return Complaint("account.name.characters")
    if name.startswith("_") or name.isdigit():
        return Complaint("account.name.beginning")
    if len(f"@{name}:{server_name}".encode()) > _MAX_USER_ID_BYTES:
        return Complaint("account.name.too_long")
    return None


def address_complaint(address: str) -> Complaint | None:
    """What is wrong with a mail address."""
    if len(address) > _MAX_MAIL or _MAIL.fullmatch(address) is None:
        return Complaint("account.addresses.wrong", {"address": address[:100]})
    return None


def addresses_complaint(text: str) -> Complaint | None:
    """What is wrong with mail addresses, one on a line."""
    found = addresses_in(text)
    if len(found) > _MAX_ADDRESSES:
        return Complaint("account.addresses.too_many", {"count": _MAX_ADDRESSES})
    return next((complaint for address in found if (complaint := address_complaint(address)) is not None), None)


def addresses_in(text: str) -> tuple[str, ...]:
    """Returns the mail addresses that stand one on a line, each once and in lower case, as Synapse keeps them."""
    return tuple(dict.fromkeys(line.strip().lower() for line in text.split("\n") if line.strip()))


def password_complaint(password: str) -> Complaint | None:
    """What is wrong with a password that was typed in."""
    if len(password) < MIN_PASSWORD:
        return Complaint("account.password.too_short", {"count": MIN_PASSWORD})
    if len(password.encode()) > _MAX_PASSWORD_BYTES:
        return Complaint("account.password.too_long")
    return None
