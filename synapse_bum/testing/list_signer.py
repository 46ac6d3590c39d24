"""Who signs lists of partners: keys and lists as a federation publishes them, good and bad."""

import json
from typing import Any

from authlib.jose import JsonWebKey, JsonWebSignature  # type: ignore[import-untyped]


class ListSigner:
    """A federation with one key, P-256 unless another kind is asked for.

    Attributes:
        kid: name of the key.
    """

    def __init__(self, kid: str = "2026", kind: str = "EC", kind_option: str | int = "P-256") -> None:
        """Makes the key.

        Args:
            kid: its name.
            kind: `EC`, `RSA` or `OKP`.
            kind_option: the curve, or the length in bits.
        """
        self.kid = kid
        self._key: Any = JsonWebKey.generate_key(kind, kind_option, {"kid": kid}, is_private=True)

    def key_set(self, *others: "ListSigner") -> bytes:
        """The JSON Web Key Set with its public key and those of others."""
        return json.dumps({"keys": [one._key.as_dict(is_private=False) for one in (self, *others)]}).encode()  # noqa: SLF001

    def sign(self, payload: object, *, alg: str = "ES256", **header: Any) -> bytes:  # noqa: ANN401 - of a JWS
        """Signs any payload."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signed: bytes = JsonWebSignature().serialize_compact(
            {"alg": alg, "kid": self.kid, **header}, content, self._key
        )
        return signed

    def list(self, *names: str, version: int = 1, expires_ts: int = 4_000_000_000_000) -> bytes:
        """A list of partners with nothing but names."""
        partners = [{"server_name": name} for name in names]
        return self.sign({"version": version, "expires_ts": expires_ts, "partners": partners})
