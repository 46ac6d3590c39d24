"""Images: WHATWG MIME Sniffing Standard section 6.1, and what phones and cameras make beside those."""

import zlib
from typing import Final, Literal

from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MAX_SEGMENTS: Final = 4096

# ITU-T T.81 table B.1: start of frame of every coding process, without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN: Final = 0xDA
_BMP_HEADERS: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def _png(content: Content) -> bool:
    """The first chunk is IHDR, with the right checksum (PNG third edition, section 11.2.1)."""
    chunk = content.at(8, 25)
    return chunk[:8] == b"\0\0\0\x0dIHDR" and zlib.crc32(chunk[4:21]) == int.from_bytes(chunk[21:], "big")


def _gif(content: Content) -> bool:
    """Behind the screen descriptor and the colour table begins a block (GIF89a section 17 to 27)."""
    flags = content.at(10, 1)[0]
    colours = 3 << ((flags & 7) + 1) if flags & 0x80 else 0
    return content.at(13 + colours, 1) in (b"\x21", b"\x2c", b"\x3b")


def _jpeg(content: Content) -> bool:
    """The segments lead over a frame to a scan, and both have the lengths that they must have (ITU-T T.81, B.2)."""
    offset, has_frame = 2, False
    for _ in range(_MAX_SEGMENTS):
        prefix, marker = content.at(offset, 2)
        if prefix != 0xFF:
            return False
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        length = content.number(offset + 2, 2, "big")
        if marker in _FRAMES:
            precision, components = content.at(offset + 4, 6)[0], content.at(offset + 4, 6)[5]
            has_frame = precision in (8, 12) and components in (1, 3, 4) and length == 8 + 3 * components
        elif marker == _START_OF_SCAN:
            components = content.at(offset + 4, 1)[0]
            return has_frame and 1 <= components <= 4 and length == 6 + 2 * components
        offset += 2 + length
    return False


def _bmp(content: Content) -> bool:
    """Reserved fields, kind of header and planes are as they must be, and the pixels lie within the file."""
    header = content.number(14, 4, "little")
    planes_at = 22 if header == 12 else 26
    return (
        content.at(6, 4) == bytes(4)
        and header in _BMP_HEADERS
        and content.number(planes_at, 2, "little") == 1
        and 14 + header <= content.number(10, 4, "little") <= content.size
    )


def _icon(content: Content) -> bool:
    """The first image of the directory lies within the file and is a PNG or a bitmap."""
    count, size, offset = (content.number(*field, "little") for field in ((4, 2), (14, 4), (18, 4)))
    if not 1 <= count <= 256 or offset < 6 + 16 * count or offset + size > content.size:
        return False
    return content.at(offset, 4) == b"\x28\0\0\0" or content.at(offset, 8) == _PNG


def _tiff(content: Content) -> bool:
    """The first directory has entries with known types, in the order of their tags (TIFF 6.0 section 2)."""
    order: Literal["big", "little"] = "little" if content.at(0, 1) == b"I" else "big"
    directory = content.number(4, 4, order)
    count = content.number(directory, 2, order)
    entries = [directory + 2 + 12 * number for number in range(3)]
    tags = [content.number(entry, 2, order) for entry in entries]
    types = [content.number(entry + 2, 2, order) for entry in entries]
    return 3 <= count <= 512 and tags[0] < tags[1] < tags[2] and all(1 <= kind <= 13 for kind in types)


SIGNATURES: Final = (
    Signature("image/png", ((0, _PNG),), _png),
    Signature("image/gif", ((0, b"GIF87a"),), _gif),
    Signature("image/gif", ((0, b"GIF89a"),), _gif),
    Signature("image/jpeg", ((0, b"\xff\xd8\xff"),), _jpeg),
    Signature("image/webp", ((0, b"RIFF"), (8, b"WEBPVP"))),
    Signature("image/bmp", ((0, b"BM"),), _bmp),
    Signature("image/vnd.microsoft.icon", ((0, b"\0\0\1\0"),), _icon, names_alone=False),
    Signature("image/vnd.microsoft.icon", ((0, b"\0\0\2\0"),), _icon, names_alone=False),  # a cursor
    Signature("image/tiff", ((0, b"II*\0"),), _tiff),
    Signature("image/tiff", ((0, b"MM\0*"),), _tiff),
    Signature("image/jp2", ((0, b"\0\0\0\x0cjP  \r\n\x87\n"),)),
    Signature("image/jxl", ((0, b"\0\0\0\x0cJXL \r\n\x87\n"),)),
    Signature("image/vnd.adobe.photoshop", ((0, b"8BPS\0\1\0\0\0\0\0\0"),)),
)
