"""Whether a program that has no account knows the secret of a route (RFC 6750 section 2.1). Pure."""

import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from synapse.module_api.errors import Codes, SynapseError

from synapse_bum.secret_store import Secret

_SCHEME: Final = b"bearer "


def check_bearer(headers: Sequence[bytes], secret: Secret) -> None:
    """Lets a request pass that carries the secret; how long it takes says nothing about the secret.

    Args:
        headers: all `Authorization` headers of the request.
        secret: that it must carry.

    Raises:
        SynapseError: 401 M_MISSING_TOKEN or M_UNKNOWN_TOKEN, as for an access token.
    """
    given = [header for header in headers if header.lower().startswith(_SCHEME)]
    if len(given) != 1:
        raise SynapseError(HTTPStatus.UNAUTHORIZED, "Missing access token", Codes.MISSING_TOKEN)
    if not hmac.compare_digest(given[0][len(_SCHEME) :].strip(), secret.value.encode()):
        raise SynapseError(HTTPStatus.UNAUTHORIZED, "Invalid access token passed.", Codes.UNKNOWN_TOKEN)
