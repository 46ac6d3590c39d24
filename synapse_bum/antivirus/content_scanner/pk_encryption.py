"""Olm PkEncryption: request bodies that only the content scanner can read, because reverse proxies log bodies.

Pure. The scheme is `m.megolm_backup.v1.curve25519-aes-sha2` (client-server API, "Server-side key backups"; libolm
`src/pk.cpp`): X25519 with an ephemeral key, HKDF-SHA-256 with neither salt nor info to 80 bytes, which are the key of
AES-256-CBC, the key of HMAC-SHA-256, and the iv. The first eight bytes of the HMAC are sent along.

libolm computes this HMAC over an empty text, and everybody has to follow. So it proves that both sides agree on the
keys, and nothing about the ciphertext: whoever sees a message can change it and send it again. What a caller does with
a plaintext that makes no sense must therefore look the same as what it does with a message that can't be decrypted,
or the padding of a captured message becomes an oracle for its plaintext.
"""

import hmac
from typing import Final

import attr
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from synapse_bum.antivirus.content_scanner import unpadded_base64

SECRET_BYTES: Final = 32
"""Length of the secret of a `RequestKey`."""

MAC_BYTES: Final = 8
"""What is sent of the HMAC."""

_BLOCK_BITS: Final = 128


class RequestDecryptionError(Exception):
    """A request body could not be decrypted; every cause looks alike."""

    def __init__(self) -> None:
        super().__init__("The request body can't be decrypted with the current public key")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MessageKeys:
    """The keys of one message.

    Attributes:
        cipher: key of AES-256-CBC, 32 bytes.
        iv: of AES-256-CBC, 16 bytes.
        tag: the HMAC's first `MAC_BYTES` bytes; the same for every ciphertext under these keys.
    """

    cipher: bytes = attr.ib(repr=False)
    iv: bytes = attr.ib(repr=False)
    tag: bytes = attr.ib(repr=False)

    @classmethod
    def agree(cls, private: X25519PrivateKey, public: X25519PublicKey) -> "MessageKeys":
        """Derives the keys that both sides of an X25519 agreement share.

        Raises:
            ValueError: the public key is a point of low order, with which every secret agrees on zero.
        """
        derived = HKDF(hashes.SHA256(), length=80, salt=None, info=b"").derive(private.exchange(public))
        tag = hmac.digest(derived[32:64], b"", "sha256")[:MAC_BYTES]
        return cls(cipher=derived[:32], iv=derived[64:], tag=tag)


class RequestKey:
    """The key pair for which clients encrypt their request bodies."""

    __slots__ = ("_private", "public_key")

    public_key: str
    """What `GET public_key` tells clients: 32 bytes as unpadded Base64."""

    def __init__(self, secret: bytes) -> None:
        """Makes the key pair.

        Args:
            secret: `SECRET_BYTES` random bytes.

        Raises:
            ValueError: the secret has another length; the message does not hold it.
        """
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"the secret must have {SECRET_BYTES} bytes, not {len(secret)}")
        self._private = X25519PrivateKey.from_private_bytes(secret)
        self.public_key = unpadded_base64.encode(self._private.public_key().public_bytes_raw())

    def decrypt(self, *, ciphertext: str, mac: str, ephemeral: str) -> bytes:
        """Decrypts a request body.

        Args:
            ciphertext: AES-256-CBC with PKCS #7 padding, Base64 with or without padding like all three.
            mac: the first `MAC_BYTES` bytes of the HMAC.
            ephemeral: the sender's public key, 32 bytes.

        Returns:
            the plaintext. Nobody vouches for it, see the head of this file.

        Raises:
            RequestDecryptionError: for whatever reason.
        """
        try:
            public = X25519PublicKey.from_public_bytes(unpadded_base64.decode(ephemeral))
            keys = MessageKeys.agree(self._private, public)
            if not hmac.compare_digest(unpadded_base64.decode(mac), keys.tag):
                raise ValueError("the keys differ")
            return _decrypt(keys, unpadded_base64.decode(ciphertext))
        except ValueError:
            # Without its cause: a traceback in a log would tell the causes apart.
            raise RequestDecryptionError from None


def _decrypt(keys: MessageKeys, ciphertext: bytes) -> bytes:
    decryptor = Cipher(AES256(keys.cipher), CBC(keys.iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    unpadder = PKCS7(_BLOCK_BITS).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
