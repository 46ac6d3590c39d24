"""Localparts: from the login name at an identity provider to the name of a Matrix account.

Sources: Matrix specification, Appendices, "User Identifiers" and "Mapping from other character sets"; Synapse's
`handlers/register.py` (`check_username`: no leading `_`, no name of digits only, 255 bytes).
"""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from synapse_bum.oidc.mapping.claims import ClaimError, text_claim
from synapse_bum.oidc.mapping.transliteration import in_ascii

MAX_ATTEMPTS: Final = 8
"""How many names with a suffix there are for a person."""

_MAX_USER_ID: Final = 255
_MAX_LOGIN_NAME: Final = 1_000
_MOST_CODE_POINTS: Final = 4 * _MAX_LOGIN_NAME
"""NFC makes no text shorter than a fourth: what is longer is not worth composing."""

_ESCAPED: Final = re.compile(r"[^a-z0-9._+-]", re.ASCII)
_CUT_ESCAPE: Final = re.compile(r"=[0-9a-f]?$", re.ASCII)
_PIECE: Final = 4
_LONGER: Final = 2
_LONGEST_SUFFIX: Final = 1 + _PIECE + _LONGER * MAX_ATTEMPTS


class LocalpartError(Exception):
    """There is no localpart for this person; the text is a sentence without the login name."""


def login_name(claims: Mapping[str, object], name: str) -> str:
    """Reads the login name.

    Args:
        claims: of a person.
        name: of the claim.

    Returns:
        as the identity provider writes it, in NFC and without space at its ends; at most 1,000 characters, none of
        which is a control, format, private or unassigned one.

    Raises:
        ClaimError: the claim is missing, empty, of another type, too long, or holds such a character.
    """
    value = text_claim(claims, name)
    if value is None:
        raise ClaimError(f"The claim `{name}`, which holds the login name, is missing")
    if len(value) > _MOST_CODE_POINTS:
        raise ClaimError(f"The claim `{name}` has more than {_MAX_LOGIN_NAME} characters")
    written = unicodedata.normalize("NFC", value)
    if len(written) > _MAX_LOGIN_NAME:
        raise ClaimError(f"The claim `{name}` has more than {_MAX_LOGIN_NAME} characters")
    if not written.isprintable() and not all(map(_may_stand, written)):
        raise ClaimError(f"The claim `{name}` holds control characters or others that nobody sees")
    written = written.strip()
    if not written:
        raise ClaimError(f"The claim `{name}`, which holds the login name, is empty")
    return written


def base_localpart(user_name: str, *, before_at: bool) -> str:
    """Makes the localpart that a login name asks for, before any suffix.

    Args:
        user_name: as `login_name` returns it.
        before_at: whether only the part before the first `@` counts.

    Raises:
        LocalpartError: nothing stands before the `@`.
    """
    name = user_name.partition("@")[0].strip() if before_at else user_name
    if not name:
        raise LocalpartError("Nothing stands before the `@` of the login name")
    dotted = ".".join(name.lower().split())
    escaped = _ESCAPED.sub(_escape, dotted if dotted.isascii() else in_ascii(dotted))
    if escaped.startswith("_"):
        return f"=5f{escaped[1:]}"
    return f"u{escaped}" if escaped.isdigit() else escaped


def candidate(base: str, *, idp_id: str, subject: str, server_name: str, attempt: int) -> str:
    """Returns the localpart to try.

    Args:
        base: `Decision.localpart`.
        idp_id: whose person it is.
        subject: who it is there.
        server_name: of this homeserver, at most 230 bytes.
        attempt: 0 for the first; 1 to 8 when the ones before are taken by others.

    Returns:
        `base` itself for the first attempt, unless it had to be cut; otherwise with `-` and an ever longer piece of a
        hash of `idp_id` and `subject`. The user id has at most 255 bytes. The same person always gets the same ones.

    Raises:
        LocalpartError: all attempts are used up, or the server name leaves no room.
    """
    if not 0 <= attempt <= MAX_ATTEMPTS:
        raise LocalpartError(f"All {MAX_ATTEMPTS + 1} names for this person are taken")
    room = _MAX_USER_ID - len("@:") - len(server_name.encode()) - _LONGEST_SUFFIX
    if room < 0:
        raise LocalpartError("The server name is too long")
    if attempt == 0 and len(base) <= room:
        return base
    stem = base if len(base) <= room else _CUT_ESCAPE.sub("", base[:room])
    # A list in JSON: no two pairs are written alike.
    digest = hashlib.sha256(json.dumps([idp_id, subject]).encode()).digest()
    return f"{stem}-{base64.b32encode(digest)[: _PIECE + _LONGER * attempt].decode().lower()}"


def _may_stand(character: str) -> bool:
    """Whether a character has a shape, or is a space: Cc, Cf, Cs, Co, Cn, Zl and Zp have and are none."""
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(found: re.Match[str]) -> str:
    return "".join(f"={byte:02x}" for byte in found[0].encode())
