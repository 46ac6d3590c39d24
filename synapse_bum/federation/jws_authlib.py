"""Proving a JWS with `authlib.jose`. Some of its releases take no more than 256,000 bytes, about 2,000 partners."""

from collections.abc import Mapping
from typing import Any, Final

from authlib.jose import JsonWebKey, JsonWebSignature  # type: ignore[import-untyped]

from synapse_bum.federation.jws import ALGORITHMS, BadSignatureError

_SIGNATURES: Final = JsonWebSignature(ALGORITHMS)


def payload_of(content: bytes, key: Mapping[str, Any]) -> bytes:
    """Proves a JWS and returns its payload.

    Args:
        content: in compact form.
        key: a JSON Web Key.

    Raises:
        BadSignatureError: this key did not sign it, or with no algorithm that counts.
    """
    try:
        payload: bytes = _SIGNATURES.deserialize_compact(content, JsonWebKey.import_key(key))["payload"]
    except Exception as e:  # noqa: BLE001 - whatever a list or a key makes the library stumble over proves nothing
        raise BadSignatureError(type(e).__name__) from None
    return payload
