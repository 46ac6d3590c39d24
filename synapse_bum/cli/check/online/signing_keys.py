"""The keys in the file of `signing_key_path`. Pure; Synapse's format (package `signedjson`), read without Synapse."""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def public_keys(text: str) -> dict[str, str]:
    """Compute the public keys.

    Args:
        text: of the file: algorithm, version and Base64 of 32 bytes in each line.

    Returns:
        By `algorithm:version`, in Base64 without padding, as `/_matrix/key/v2/server` shows them.

    Raises:
        ValueError: a line is something else.
    """
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        algorithm, version, seed = line.split()
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed + "=" * (-len(seed) % 4)))
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        found[f"{algorithm}:{version}"] = base64.b64encode(public).decode("ascii").rstrip("=")
    return found
