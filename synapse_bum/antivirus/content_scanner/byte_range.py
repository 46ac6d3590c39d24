"""The part of a file that a client asks for: `Range` of one part (RFC 9110 section 14). Pure."""

import re
from typing import Final

import attr

_SINGLE: Final = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """No byte of the file is in the range (416)."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ByteRange:
    """A part of a file.

    Attributes:
        first: offset of its first byte.
        length: bytes, at least one.
    """

    first: int
    length: int

    def content_range(self, size: int) -> str:
        """The header `Content-Range` of a file of this size (RFC 9110 section 14.4)."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{size}"


def wanted_range(header: str | None, size: int) -> ByteRange | None:
    """Read a `Range` header.

    Args:
        header: as it came; None without one.
        size: of the file in bytes.

    Returns:
        The part; None when the whole file is to be sent: there is no header, it is malformed, it has another unit, or
        it asks for several parts, all of which a server may ignore (section 14.2).

    Raises:
        UnsatisfiableRangeError: the range is behind the end.
    """
    matched = _SINGLE.fullmatch(header.strip()) if header is not None else None
    if matched is None:
        return None
    first_text, last_text, suffix = matched.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        first = size - length
    else:
        first = int(first_text)
        last = min(int(last_text), size - 1) if last_text else size - 1
        if last_text and int(last_text) < first:
            return None
        length = last - first + 1
    if first >= size or length <= 0:
        raise UnsatisfiableRangeError
    return ByteRange(first, length)
