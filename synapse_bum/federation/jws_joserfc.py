"""Proving a JWS with joserfc, which authlib brings in place of its own `authlib.jose`."""

from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import import_key

from synapse_bum.federation.jws import ALGORITHMS, BadSignatureError


class _Registry(jws.JWSRegistry):
    """Lists are longer than tokens; their size was checked before."""

    max_header_length = max_payload_length = max_signature_length = 1 << 30


def payload_of(content: bytes, key: Mapping[str, Any]) -> bytes:
    """As in `jws_authlib`, for a list of any length."""
    registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)
    try:
        proved = jws.deserialize_compact(content, import_key(dict(key)), registry=registry)
    except Exception as e:  # noqa: BLE001 - whatever a list or a key makes the library stumble over proves nothing
        raise BadSignatureError(type(e).__name__) from None
    return proved.payload
