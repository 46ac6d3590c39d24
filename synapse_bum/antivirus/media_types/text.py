"""Text: UTF-8, UTF-16 with its mark, and the older 8-bit encodings; HTML, XML and SVG among it.

Whether bytes are text is decided over the first MiB and the end of a file. How long a text must be so that noise does
not pass for it is said beside each constant.
"""

import codecs
import re
from typing import Final

import attr

from synapse_bum.antivirus.media_types.content import Content

_SAMPLE_BYTES: Final = 1 << 20
_TAIL_BYTES: Final = 65_536

# A random byte continues UTF-8 without binary data bytes with 0.46 (measured): 1.1 bits a byte, 44 bits.
_MIN_UTF_8_BYTES: Final = 40
# A random byte is no binary data byte with 229 : 256: 0.16 bits a byte, 46 bits.
_MIN_8_BIT_BYTES: Final = 288
# Letters of Europe are 2 % of all code units: 5.5 bits a unit, with the mark 60 bits.
_MIN_EUROPEAN_UNITS: Final = 8
# A random unit is half of no pair in 3 of 100 cases: 0.045 bits a unit, with the mark 62 bits.
_MIN_UTF_16_UNITS: Final = 1024

# WHATWG MIME Sniffing Standard section 3: binary data byte.
_BINARY: Final = bytes(sorted({*range(9), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)}))
_BINARY_CHARACTER: Final = re.compile("[\0-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_EUROPEAN: Final = re.compile("[\t\n\f\r\x1b -\u04ff\u2000-\u20cf]*")

# WHATWG MIME Sniffing Standard section 7.1, each followed by a tag-terminating byte.
_HTML: Final = re.compile(
    rb"[\t\n\f\r ]*<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--)[ >]",
    re.IGNORECASE,
)
_WHITE_SPACE: Final = b"\t\n\f\r "


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Text:
    """A file that reads as text.

    Attributes:
        media_type: `text/plain` or a kind of markup.
        is_confirmed: whether it is long enough not to be noise.
    """

    media_type: str
    is_confirmed: bool


def as_text(content: Content) -> Text | None:
    """Returns what a file is as text; None when it is none."""
    if content.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _utf_16(content.up_to(0, _SAMPLE_BYTES), is_whole=content.size <= _SAMPLE_BYTES)
    media_type = _markup(content.head.removeprefix(codecs.BOM_UTF8))
    # The head first: it settles most files.
    if _has_binary(content.head) or _has_binary(content.up_to(0, _SAMPLE_BYTES)) or _has_binary(_tail(content)):
        return Text(media_type, is_confirmed=False) if media_type else None
    # What is long enough for an 8-bit encoding need not be decoded any more.
    is_confirmed = content.size >= _MIN_8_BIT_BYTES or (content.size >= _MIN_UTF_8_BYTES and _is_utf_8(content.head))
    return Text(media_type or "text/plain", is_confirmed=is_confirmed)


def _tail(content: Content) -> bytes:
    return content.up_to(max(_SAMPLE_BYTES, content.size - _TAIL_BYTES), _TAIL_BYTES)


def _has_binary(content: bytes) -> bool:
    return len(content.translate(None, _BINARY)) != len(content)


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _utf_16(sample: bytes, *, is_whole: bool) -> Text | None:
    """Decides about a text that begins with a byte order mark."""
    encoding = "utf-16-le" if sample.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample[2:], final=is_whole)
    except UnicodeDecodeError:
        return None
    if _BINARY_CHARACTER.search(text):
        return None
    enough = _MIN_EUROPEAN_UNITS if _EUROPEAN.fullmatch(text) else _MIN_UTF_16_UNITS
    return Text(_markup(text[:4096].encode()) or "text/plain", is_confirmed=len(sample) - 2 >= 2 * enough)


def _markup(head: bytes) -> str | None:
    root = _behind_prolog(head)[:5].lower()
    if root[:4] == b"<svg" and root[4:] in (b" ", b">", b"/", b"\t", b"\n", b"\r"):
        return "image/svg+xml"
    if _HTML.match(head):
        return "text/html"
    return "text/xml" if head.lstrip(_WHITE_SPACE).startswith(b"<?xml") else None


def _behind_prolog(head: bytes) -> bytes:
    """Leaves out declarations, comments and the document type, as far as they are in the head."""
    while True:
        head = head.lstrip(_WHITE_SPACE)
        if head.startswith(b"<?"):
            end = b"?>"
        elif head.startswith(b"<!--"):
            end = b"-->"
        elif head[:9].upper() == b"<!DOCTYPE":
            end = b"]>" if b"[" in head.partition(b">")[0] else b">"
        else:
            return head
        head = head.partition(end)[2]
