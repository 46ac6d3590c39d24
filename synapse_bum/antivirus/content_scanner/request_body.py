"""The body of `scan_encrypted` and `download_encrypted`: which file, with which key. Pure.

A body is `{"file": EncryptedFile}`, or `{"encrypted_body": {ciphertext, mac, ephemeral}}` with the former as plaintext.
Beside `file` a client may name the event that carries it.
"""

from typing import Final

import attr

from synapse_bum.antivirus.content_scanner.encrypted_file import (
    EncryptedFile,
    MalformedFileError,
    MalformedJsonError,
    parse_json_body,
)
from synapse_bum.antivirus.content_scanner.errors import bad_decryption, malformed
from synapse_bum.antivirus.content_scanner.pk_encryption import RequestDecryptionError, RequestKey
from synapse_bum.identifiers import is_event_id, is_room_id

MAX_BODY_BYTES: Final = 65_536
"""Length of a request body; what clients send has less than 2 KiB."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class EventReference:
    """The event that carries the file, as the client says.

    Attributes:
        room_id: of its room.
        event_id: of the event.
    """

    room_id: str
    event_id: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ScanRequest:
    """What a client asks for.

    Attributes:
        file: the file and its key.
        event: the event that carries it; None when the client does not say.
    """

    file: EncryptedFile
    event: EventReference | None


def read_scan_request(content: bytes, key: RequestKey) -> ScanRequest:
    """Read a request body.

    Args:
        content: the body, cut off one byte above `MAX_BODY_BYTES`.
        key: of this server.

    Raises:
        ContentScannerError: 400 for what is malformed, 403 for what can't be decrypted. No message holds a value.
    """
    try:
        body = parse_json_body(content, MAX_BODY_BYTES)
        encrypted = body.get("encrypted_body")
        if encrypted is not None:
            body = _decrypted(encrypted, key)
        return ScanRequest(EncryptedFile.parse(body.get("file")), _event_of(body))
    except (MalformedJsonError, MalformedFileError) as error:
        raise malformed(str(error)) from None


def _decrypted(encrypted: object, key: RequestKey) -> dict[str, object]:
    if not isinstance(encrypted, dict):
        raise malformed("`encrypted_body` must be an object")
    parts: dict[str, str] = {}
    for name in ("ciphertext", "mac", "ephemeral"):
        part = encrypted.get(name)
        if not isinstance(part, str):
            raise malformed(f"`encrypted_body.{name}` must be a string")
        parts[name] = part
    try:
        return parse_json_body(key.decrypt(**parts), MAX_BODY_BYTES)
    except (RequestDecryptionError, MalformedJsonError):
        # One answer for both: otherwise the padding of a captured body is an oracle for its content.
        raise bad_decryption() from None


def _event_of(body: dict[str, object]) -> EventReference | None:
    room_id, event_id = body.get("room_id"), body.get("event_id")
    if room_id is None and event_id is None:
        return None
    if not isinstance(room_id, str) or not is_room_id(room_id):
        raise malformed("`room_id` must be the id of the event's room")
    if not isinstance(event_id, str) or not is_event_id(event_id):
        raise malformed("`event_id` must be the id of the event that carries the file")
    return EventReference(room_id, event_id)
