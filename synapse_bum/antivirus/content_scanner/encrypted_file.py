"""The `EncryptedFile` object that a client hands over (client-server API, "Sending encrypted attachments").

Pure. Messages name the field and what would be right, and never hold a value: the values are the key of a file.
"""

import json
import re
from typing import Final, NoReturn

import attr

from synapse_bum.antivirus.content_scanner import unpadded_base64
from synapse_bum.identifiers import is_media_id, is_server_name

MAX_JSON_DEPTH: Final = 32
"""How deep arrays and objects of a request body may be nested."""

KEY_BYTES: Final = 32
IV_BYTES: Final = 16
SHA256_BYTES: Final = 32

_MXC: Final = re.compile(r"mxc://([^/]+)/([^/]+)")
# A string counts as a whole, so that brackets in it don't; an unfinished one reaches to the end. No alternative ever
# has to give characters back, so the time is linear.
_STRINGS_AND_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|\Z)|[\[\]{}]', re.DOTALL)


class MalformedJsonError(Exception):
    """A request body is not one JSON object within the limits; the message says which limit, and holds no content."""


class MalformedFileError(Exception):
    """An `EncryptedFile` lacks something or has a wrong value; the message names the field, and holds no value."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"`{field}` {expected}")


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EncryptedFile:
    """An encrypted file and what decrypts it.

    Attributes:
        server_name: of the file's `mxc://` URI.
        media_id: of the file's `mxc://` URI.
        key: of AES-256-CTR, 32 bytes.
        iv: the first counter block, 16 bytes.
        sha256: what the ciphertext hashes to, 32 bytes.
    """

    server_name: str
    media_id: str
    key: bytes = attr.ib(repr=False)
    iv: bytes = attr.ib(repr=False)
    sha256: bytes = attr.ib(repr=False)

    @classmethod
    def parse(cls, value: object) -> "EncryptedFile":
        """Reads the value of `file` in a request body.

        What the specification requires but no client depends on (`v`, `key_ops`, `ext`) may be missing. Fields that
        it does not know are ignored. Base64 may be padded.

        Raises:
            MalformedFileError: with the path of the first field that is wrong, for example `file.key.k`.
        """
        file = _object(value, "file")
        if file.get("v", "v2") != "v2":
            raise MalformedFileError("file.v", "must be `v2`")
        server_name, media_id = _mxc(file.get("url"))
        return cls(
            server_name=server_name,
            media_id=media_id,
            key=_key(_object(file.get("key"), "file.key")),
            iv=_bytes(file.get("iv"), "file.iv", IV_BYTES),
            sha256=_bytes(_object(file.get("hashes"), "file.hashes").get("sha256"), "file.hashes.sha256", SHA256_BYTES),
        )

    @property
    def has_standard_counter(self) -> bool:
        """Whether the low 64 bits of the iv are zero, as the specification has it.

        Whoever may choose all 128 bits can solve for an iv that puts 16 chosen bytes into a stranger's file.
        """
        return self.iv[8:] == bytes(8)


def parse_json_body(content: bytes, max_bytes: int) -> dict[str, object]:
    """Reads a request body: one JSON object (RFC 8259), in UTF-8, not nested deeper than `MAX_JSON_DEPTH`.

    Of a name that occurs twice the last value counts.

    Args:
        content: the body.
        max_bytes: the longest body that is read.

    Raises:
        MalformedJsonError: for anything else.
    """
    if len(content) > max_bytes:
        raise MalformedJsonError(f"The body has more than {max_bytes} bytes")
    try:
        text = content.decode()
        if _is_deeper_than(MAX_JSON_DEPTH, text):
            raise MalformedJsonError(f"The body is nested deeper than {MAX_JSON_DEPTH} levels")
        decoded = json.loads(text, parse_constant=_refuse_constant)
    # A ValueError is also what an integer of thousands of digits ends in.
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict):
        raise MalformedJsonError("The body is not a JSON object")
    return decoded


def _is_deeper_than(limit: int, text: str) -> bool:
    depth = 0
    for matched in _STRINGS_AND_BRACKETS.finditer(text):
        if matched[0] in ("[", "{"):
            depth += 1
        elif matched[0] in ("]", "}"):
            depth -= 1
        if depth > limit:
            return True
    return False


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON (RFC 8259 section 6)")


def _object(value: object, field: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise MalformedFileError(field, "must be an object")
    return value


def _mxc(value: object) -> tuple[str, str]:
    matched = _MXC.fullmatch(value) if isinstance(value, str) else None
    if matched is None or not is_server_name(matched[1]) or not is_media_id(matched[2]):
        raise MalformedFileError("file.url", "must be `mxc://` with a server name and a media id")
    return matched[1], matched[2]


def _key(key: dict[str, object]) -> bytes:
    """Reads a JSON Web Key (RFC 7517, RFC 7518 section 6.4)."""
    if key.get("kty") != "oct":
        raise MalformedFileError("file.key.kty", "must be `oct`")
    if key.get("alg") != "A256CTR":
        raise MalformedFileError("file.key.alg", "must be `A256CTR`")
    operations = key.get("key_ops", ["encrypt", "decrypt"])
    if not isinstance(operations, list) or "encrypt" not in operations or "decrypt" not in operations:
        raise MalformedFileError("file.key.key_ops", "must be a list that holds `encrypt` and `decrypt`")
    if key.get("ext", True) is not True:
        raise MalformedFileError("file.key.ext", "must be true")
    return _bytes(key.get("k"), "file.key.k", KEY_BYTES, url_safe=True)


def _bytes(value: object, field: str, length: int, *, url_safe: bool = False) -> bytes:
    decode, alphabet = (
        (unpadded_base64.decode_url_safe, "URL-safe Base64") if url_safe else (unpadded_base64.decode, "Base64")
    )
    try:
        decoded = decode(value) if isinstance(value, str) else b""
    except ValueError:
        decoded = b""
    if len(decoded) != length:
        raise MalformedFileError(field, f"must be {length} bytes in {alphabet}")
    return decoded
