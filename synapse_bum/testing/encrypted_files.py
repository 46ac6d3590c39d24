"""Encrypted attachments as a client makes them (client-server API, "Sending encrypted attachments")."""

import base64
import hashlib
import os
from typing import Any

import attr
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Attachment:
    """A file and its encryption.

    Attributes:
        ciphertext: what is uploaded.
        key: 32 bytes.
        iv: 16 bytes.
    """

    ciphertext: bytes = attr.ib(repr=False)
    key: bytes
    iv: bytes

    def file(self, mxc: str) -> dict[str, Any]:
        """The `EncryptedFile` object of the event that carries it."""
        return {
            "v": "v2",
            "url": mxc,
            "key": {
                "kty": "oct",
                "key_ops": ["encrypt", "decrypt"],
                "alg": "A256CTR",
                "k": _unpadded(base64.urlsafe_b64encode(self.key)),
                "ext": True,
            },
            "iv": _unpadded(base64.b64encode(self.iv)),
            "hashes": {"sha256": _unpadded(base64.b64encode(hashlib.sha256(self.ciphertext).digest()))},
        }

    def with_wrong_key(self) -> "Attachment":
        """The same ciphertext with a key that gives noise."""
        return attr.evolve(self, key=os.urandom(32))


def encrypted(content: bytes, *, key: bytes | None = None, iv: bytes | None = None) -> Attachment:
    """Encrypt a file.

    Args:
        content: the plaintext.
        key: 32 bytes; random ones by default.
        iv: 16 bytes; eight random ones and eight zeros by default, as the specification has it.
    """
    key = key or os.urandom(32)
    iv = iv or os.urandom(8) + bytes(8)
    encryptor = Cipher(AES256(key), CTR(iv)).encryptor()
    return Attachment(encryptor.update(content) + encryptor.finalize(), key, iv)


def _unpadded(encoded: bytes) -> str:
    return encoded.decode().rstrip("=")
