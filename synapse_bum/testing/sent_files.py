"""What people send besides texts: a small file of each kind, as clients of the BundesMessenger send it."""

from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.testing import malware

_PDF: Final = b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"
_GIF: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_VIDEO: Final = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00\x00\x00\x08free" * 40
_VOICE: Final = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(100)
_VCARD: Final = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Erika Muster\r\nTEL:+49 30 123456\r\nEND:VCARD\r\n"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class SentFile:
    """A file and the message that it comes with.

    Attributes:
        name: what people call it.
        msgtype: of the message.
        content_type: MIME type.
        content: the file.
        more: further keys of the message.
    """

    name: str
    msgtype: str
    content_type: str
    content: bytes = attr.ib(repr=False)
    more: Mapping[str, Any] = attr.ib(factory=dict)


SENT_FILES: Final = (
    SentFile("document", "m.file", "application/pdf", _PDF),
    SentFile("GIF", "m.image", "image/gif", _GIF),
    SentFile("picture", "m.image", "image/png", malware.png()),
    SentFile("video", "m.video", "video/mp4", _VIDEO),
    SentFile(
        "voice message",
        "m.audio",
        "audio/ogg",
        _VOICE,
        {"org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"duration": 900}},
    ),
    SentFile("contact", "m.file", "text/vcard", _VCARD),
)
