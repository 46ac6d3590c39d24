"""The bearer token of SCIM: read at the start from a file, compared in constant time."""

import hashlib
import hmac
from typing import Final

from synapse.module_api.errors import ConfigError

from synapse_bum.config import dotted
from synapse_bum.secret_store import Secret, read_secret_file

MIN_LENGTH: Final = 32
_KEY: Final = ("scim", "token_path")
_SCHEME: Final = "bearer"


def read_token(path: str) -> Secret:
    """Reads the token.

    Args:
        path: of the file, as configured.

    Raises:
        ConfigError: the file can't be read, or what stands in it is no token that is hard enough to guess.
    """
    token = read_secret_file(path, _KEY)
    if len(token.value) < MIN_LENGTH:
        raise ConfigError(
            f"`{dotted(_KEY)}`: the token in `{path}` has less than {MIN_LENGTH} characters; `openssl rand -hex 32`"
            " makes one",
            _KEY,
        )
    if not (token.value.isascii() and token.value.isprintable()) or " " in token.value:
        raise ConfigError(f"`{dotted(_KEY)}`: the token in `{path}` must be one line of ASCII without spaces", _KEY)
    return token


def is_authorised(headers: list[str], token: Secret) -> bool:
    """Whether a request carries the token (RFC 6750 2.1). Takes as long for a wrong one as for the right one.

    Args:
        headers: the values of its headers `Authorization`; with more than one nobody knows which of them counts.
        token: that it must carry.
    """
    if len(headers) != 1:
        return False
    scheme, _space, given = headers[0].partition(" ")
    if scheme.lower() != _SCHEME:
        return False
    return hmac.compare_digest(_digest(given.strip()), _digest(token.value))


def _digest(text: str) -> bytes:
    """Of the same length for all texts."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
