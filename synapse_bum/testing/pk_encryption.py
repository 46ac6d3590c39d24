"""Request bodies for the content scanner as a client encrypts them (Olm PkEncryption, `pk_encryption`).

For tests and the demo. It shares the key derivation with what it tests; the proof that this is right is made with
vodozemac in the unit tests.
"""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from synapse_bum.antivirus.content_scanner import unpadded_base64
from synapse_bum.antivirus.content_scanner.pk_encryption import MessageKeys


def encrypt(public_key: str, plaintext: bytes) -> dict[str, str]:
    """Encrypts a request body.

    Args:
        public_key: as `GET public_key` tells it.
        plaintext: usually the JSON of `{"file": ...}`.

    Returns:
        `{"ciphertext", "mac", "ephemeral"}`, the value of `encrypted_body`.
    """
    padder = PKCS7(128).padder()
    return encrypt_padded(public_key, padder.update(plaintext) + padder.finalize())


def encrypt_padded(public_key: str, padded: bytes) -> dict[str, str]:
    """Encrypts whole blocks as they are, with padding that a client would not send."""
    ephemeral = X25519PrivateKey.generate()
    keys = MessageKeys.agree(ephemeral, X25519PublicKey.from_public_bytes(unpadded_base64.decode(public_key)))
    encryptor = Cipher(AES256(keys.cipher), CBC(keys.iv)).encryptor()
    return {
        "ciphertext": unpadded_base64.encode(encryptor.update(padded) + encryptor.finalize()),
        "mac": unpadded_base64.encode(keys.tag),
        "ephemeral": unpadded_base64.encode(ephemeral.public_key().public_bytes_raw()),
    }
