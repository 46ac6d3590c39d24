"""Encrypted request bodies: read as vodozemac writes them, and refused alike whatever is wrong."""

import base64
import traceback

import pytest
import vodozemac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from synapse_bum.antivirus.content_scanner import unpadded_base64
from synapse_bum.antivirus.content_scanner.pk_encryption import RequestDecryptionError, RequestKey
from synapse_bum.testing import pk_encryption

SECRET = bytes(range(32))

# Every point of low order on Curve25519 and its twist, with non-canonical encodings (RFC 7748 section 7).
LOW_ORDER = [
    bytes(32),
    b"\1" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


def vodozemac_public_key(public_key: str) -> vodozemac.Curve25519PublicKey:
    return vodozemac.Curve25519PublicKey.from_base64(public_key)


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


@given(secret=st.binary(min_size=32, max_size=32), plaintext=st.binary(max_size=200))
def test_what_vodozemac_encrypts_is_decrypted(secret: bytes, plaintext: bytes) -> None:
    key = RequestKey(secret)
    message = vodozemac.PkEncryption.from_key(vodozemac_public_key(key.public_key)).encrypt(plaintext)
    decrypted = key.decrypt(
        ciphertext=encode(message.ciphertext), mac=encode(message.mac), ephemeral=encode(message.ephemeral_key)
    )
    assert decrypted == plaintext


@given(secret=st.binary(min_size=32, max_size=32), plaintext=st.binary(max_size=200))
def test_vodozemac_decrypts_what_the_test_client_encrypts(secret: bytes, plaintext: bytes) -> None:
    decryption = vodozemac.PkDecryption.from_key(vodozemac.Curve25519SecretKey.from_bytes(secret))
    key = RequestKey(secret)
    assert decryption.public_key.to_base64() == key.public_key
    body = pk_encryption.encrypt(key.public_key, plaintext)
    message = vodozemac.Message.from_base64(body["ciphertext"], body["mac"], body["ephemeral"])
    assert decryption.decrypt(message) == plaintext
    assert key.decrypt(**body) == plaintext


def test_the_public_key_is_unpadded_base64_and_lasts() -> None:
    assert RequestKey(SECRET).public_key == "j0DFrbaPJWJK5bIU6nZ6bslNgp09e14a0bpvPiE4KF8"


def a_body(**changes: str) -> dict[str, str]:
    return pk_encryption.encrypt(RequestKey(SECRET).public_key, b'{"file": {}}') | changes


def flipped(text: str, byte: int) -> str:
    content = bytearray(unpadded_base64.decode(text))
    content[byte] ^= 1
    return encode(bytes(content))


def with_a_bad_padding(padding: bytes) -> dict[str, str]:
    return pk_encryption.encrypt_padded(RequestKey(SECRET).public_key, bytes(32 - len(padding)) + padding)


BAD_BODIES = {
    "ciphertext is no Base64": a_body(ciphertext="!"),
    "ciphertext is empty": a_body(ciphertext=""),
    "ciphertext is no whole blocks": a_body(ciphertext="AAAA"),
    "ciphertext has a lone surrogate": a_body(ciphertext="\ud800"),
    "padding of zero": with_a_bad_padding(b"\0"),
    "padding too long": with_a_bad_padding(b"\x11"),
    "padding not uniform": with_a_bad_padding(b"\2\3\3"),
    "mac is no Base64": a_body(mac="!"),
    "mac is empty": a_body(mac=""),
    "mac differs in the first byte": a_body(mac=flipped(a_body()["mac"], 0)),
    "mac too short": a_body() | {"mac": "AAAA"},
    "mac with a byte too much": (body := a_body()) | {"mac": encode(unpadded_base64.decode(body["mac"]) + b"\0")},
    "mac without its last byte": body | {"mac": encode(unpadded_base64.decode(body["mac"])[:-1])},
    "mac with another last byte": body | {"mac": flipped(body["mac"], 7)},
    "ephemeral is no Base64": a_body(ephemeral="!"),
    "ephemeral is empty": a_body(ephemeral=""),
    "ephemeral is too short": a_body(ephemeral=encode(bytes(31))),
    "ephemeral is too long": a_body(ephemeral=encode(bytes(33))),
    "ephemeral of another message": a_body(ephemeral=a_body()["ephemeral"]),
    "for another key": pk_encryption.encrypt(RequestKey(bytes(32)).public_key, b"{}"),
    **{f"ephemeral of low order {point.hex()[:8]}": a_body(ephemeral=encode(point)) for point in LOW_ORDER},
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_every_failure_looks_alike(body: dict[str, str]) -> None:
    with pytest.raises(RequestDecryptionError) as caught:
        RequestKey(SECRET).decrypt(**body)
    assert str(caught.value) == "The request body can't be decrypted with the current public key"
    assert "ValueError" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("point", LOW_ORDER, ids=lambda point: point.hex()[:8])
def test_a_message_that_is_right_for_a_low_order_point_is_refused(point: bytes) -> None:
    """Everybody can compute these keys, and they are the same for every secret."""
    with pytest.raises(ValueError, match="shared key"):
        pk_encryption.encrypt(encode(point), b"{}")
    with pytest.raises(RequestDecryptionError):
        RequestKey(SECRET).decrypt(**a_body(ephemeral=encode(point)))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_text_ends_in_another_error(ciphertext: str, mac: str, ephemeral: str) -> None:
    with pytest.raises(RequestDecryptionError):
        RequestKey(SECRET).decrypt(ciphertext=ciphertext, mac=mac, ephemeral=ephemeral)


def test_the_secret_is_not_shown() -> None:
    key = RequestKey(SECRET)
    assert SECRET.hex() not in repr(key)
    assert encode(SECRET)[:8] not in repr(key)
    assert str(list(SECRET[:4]))[1:-1] not in repr(key)
    with pytest.raises(ValueError, match="32 bytes, not 4") as caught:
        RequestKey(b"\xde\xad\xbe\xef")
    assert "xde" not in str(caught.value)


def test_the_key_is_that_of_the_agreement() -> None:
    secret = X25519PrivateKey.generate()
    key = RequestKey(secret.private_bytes_raw())
    assert unpadded_base64.decode(key.public_key) == secret.public_key().public_bytes_raw()
