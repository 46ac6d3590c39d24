"""Signed JSON Web Tokens, as an identity provider makes them: RFC 7515 and RFC 7519 with RS256 (RFC 7518 3.3)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHM: Final = "RS256"


class SigningKey:
    """An RSA key of 2,048 bits that exists in memory only. Making one takes 0.1 s or so."""

    def __init__(self) -> None:
        self._private = generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self._private.public_key().public_numbers()
        public = {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
        # RFC 7638: the names in order, without spaces.
        self._id = base64url(hashlib.sha256(_compact(public)).digest())
        self._public = {**public, "kid": self._id, "use": "sig", "alg": ALGORITHM}

    @property
    def key_set(self) -> dict[str, Any]:
        """The public key as a JWK Set (RFC 7517)."""
        return {"keys": [dict(self._public)]}

    def sign(self, claims: Mapping[str, Any], *, typ: str = "JWT") -> str:
        """Make a token.

        Args:
            claims: what it says.
            typ: its header of this name.
        """
        header = {"alg": ALGORITHM, "kid": self._id, "typ": typ}
        signed = f"{base64url(_compact(header))}.{base64url(_compact(claims))}"
        return f"{signed}.{base64url(self._private.sign(signed.encode('ascii'), PKCS1v15(), SHA256()))}"


def base64url(content: bytes) -> str:
    """Encode without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")


def _integer(number: int) -> str:
    """Base64urlUInt (RFC 7518 2)."""
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _compact(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
