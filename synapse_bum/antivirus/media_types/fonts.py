"""Fonts: WHATWG MIME Sniffing Standard section 6.3; structures of the OpenType specification and WOFF."""

from typing import Final

from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature


def _sfnt(content: Content) -> bool:
    """The three numbers that an OpenType font derives from its number of tables are right."""
    tables, search_range, selector, shift = (content.number(offset, 2, "big") for offset in (4, 6, 8, 10))
    if not 1 <= tables <= 256:
        return False
    exponent = tables.bit_length() - 1
    return (search_range, selector, shift) == (16 << exponent, exponent, 16 * tables - (16 << exponent))


def _woff(content: Content) -> bool:
    return content.number(8, 4, "big") == content.size


def _embedded_opentype(content: Content) -> bool:
    version = content.number(8, 4, "little")
    return content.number(0, 4, "little") == content.size and version in (0x00010000, 0x00020001, 0x00020002)


SIGNATURES: Final = (
    Signature("font/ttf", ((0, b"\0\1\0\0"),), _sfnt, names_alone=False),
    Signature("font/otf", ((0, b"OTTO"),), _sfnt),
    Signature("font/collection", ((0, b"ttcf\0\1\0\0"),)),
    Signature("font/collection", ((0, b"ttcf\0\2\0\0"),)),
    Signature("font/woff", ((0, b"wOFF"),), _woff),
    Signature("font/woff2", ((0, b"wOF2"),), _woff),
    Signature("application/vnd.ms-fontobject", ((34, b"LP"),), _embedded_opentype, names_alone=False),
)
