"""What is asked of a JOSE library: to prove a JWS in compact form (RFC 7515). Two files do it, each with another one.

Newer releases of authlib bring joserfc in place of their own `authlib.jose`, which goes with 2.0: `jws_joserfc` does it
wherever joserfc is, `jws_authlib` elsewhere. Both say the same about every list, but for its length.
"""

from typing import Final

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA")
"""Only signatures that the reader of the list can't make himself."""


class BadSignatureError(Exception):
    """The signature does not prove the content; the text says in a word why."""
