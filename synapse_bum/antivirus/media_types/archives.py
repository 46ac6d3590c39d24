"""Archives, and the document formats that are ZIP archives inside."""

import re
import zlib
from collections.abc import Iterator
from typing import Final

from synapse_bum.antivirus.media_types.content import Content, EndOfContentError
from synapse_bum.antivirus.media_types.signature import Signature

_GZIP_TEXT: Final = 1
_GZIP_NAME: Final = 8
_MAX_GZIP_NAME: Final = 1024
_GZIP_BYTES: Final = 8192
_INFLATED_BYTES: Final = 65_536
_MAX_ENTRIES: Final = 10_000
_MAX_DIRECTORY: Final = 1 << 20
_END_RECORD_BYTES: Final = 22
_MAX_COMMENT: Final = 65_535
_IN_ZIP64: Final = 0xFFFFFFFF

# Entries, size and offset of the central directory: offsets and lengths in the end record (APPNOTE 4.3.16), offsets
# in the one of ZIP64 (4.3.14).
_END_FIELDS: Final = ((10, 2), (12, 4), (16, 4))
_END_64_FIELDS: Final = (32, 40, 48)

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OFFICE_TYPES: Final = {
    b"word/": (f"{_OFFICE}.wordprocessingml.document", "application/vnd.ms-word.document.macroenabled.12"),
    b"xl/": (f"{_OFFICE}.spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12"),
    b"ppt/": (
        f"{_OFFICE}.presentationml.presentation",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ),
}
_STATED_TYPE: Final = re.compile(rb"application/(?:vnd\.oasis\.opendocument\.[a-z-]{1,40}|epub\+zip)")


def _gzip(content: Content) -> bool:
    """What is compressed can be inflated: all of it, to its checksum, or some kilobytes of it (RFC 1952).

    Noise may begin like a Deflate stream, but soon refers to what lies before its beginning, or has impossible codes;
    what is left (measured: 3 in 400,000) are stored blocks. A header with an extra field, a comment or a checksum of
    its own doesn't count: programs seldom write them, and noise could hide in them.
    """
    flags = content.at(3, 1)[0]
    has_name = bool(flags & _GZIP_NAME)
    if flags & ~(_GZIP_TEXT | _GZIP_NAME) or (has_name and b"\0" not in content.up_to(10, _MAX_GZIP_NAME)):
        return False
    stream = zlib.decompressobj(wbits=31)
    compressed = content.up_to(0, _GZIP_BYTES)
    while compressed and not stream.eof:
        stream.decompress(compressed, _INFLATED_BYTES)
        compressed = stream.unconsumed_tail
    return stream.eof or content.size > _GZIP_BYTES


def _tar(content: Content) -> bool:
    """The checksum of the first header is right (POSIX.1-2017, pax, "ustar Interchange Format")."""
    header = content.at(0, 512)
    stated = re.fullmatch(rb"[ \0]*([0-7]+)[ \0]*", header[148:156])
    return stated is not None and int(stated[1], 8) == sum(header[:148]) + 8 * 0x20 + sum(header[156:])


def _zip(content: Content) -> bool:
    """The record at its end leads to the directory (PKWARE APPNOTE 6.3.10 section 4.3)."""
    directory, entries, _size = _zip_directory(content)
    return content.at(directory, 4) == b"PK\1\2" if entries else content.head.startswith(b"PK\5\6")


def _zip_directory(content: Content) -> tuple[int, int, int]:
    """Returns where the central directory begins, how many entries it states, and how many bytes it states.

    Raises:
        EndOfContentError: there is none.
    """
    start = max(0, content.size - _END_RECORD_BYTES - _MAX_COMMENT)
    tail = content.up_to(start, _END_RECORD_BYTES + _MAX_COMMENT)
    at = start + tail.rfind(b"PK\5\6")
    if at < start or at + _END_RECORD_BYTES + content.number(at + 20, 2, "little") != content.size:
        raise EndOfContentError
    entries, size, directory = (content.number(at + field, length, "little") for field, length in _END_FIELDS)
    if directory != _IN_ZIP64:
        return directory, entries, size
    at64 = content.number(at - 12, 8, "little")
    if content.at(at - 20, 4) != b"PK\6\7" or content.at(at64, 4) != b"PK\6\6":
        raise EndOfContentError
    entries, size, directory = (content.number(at64 + field, 8, "little") for field in _END_64_FIELDS)
    return directory, entries, size


def _zip_names(content: Content) -> Iterator[bytes]:
    """The names in the central directory; of a very large one those at its beginning."""
    start, entries, size = _zip_directory(content)
    directory = content.up_to(start, min(size, _MAX_DIRECTORY))
    offset = 0
    for _ in range(min(entries, _MAX_ENTRIES)):
        if directory[offset : offset + 4] != b"PK\1\2":
            return
        name, extra, comment = (
            int.from_bytes(directory[field : field + 2], "little") for field in range(offset + 28, offset + 34, 2)
        )
        yield directory[offset + 46 : offset + 46 + name]
        offset += 46 + name + extra + comment


def _zip_content(content: Content) -> str | None:
    """OpenDocument and EPUB state their type in a first member; Office Open XML and Java show by names."""
    if content.at(26, 2) == b"\x08\0" and content.at(30, 8) == b"mimetype":
        stated = _STATED_TYPE.match(content.up_to(38 + content.number(28, 2, "little"), 80))
        if stated:
            return stated[0].decode()
    names = set(_zip_names(content))
    if b"[Content_Types].xml" in names:
        for folder, (plain, with_macros) in _OFFICE_TYPES.items():
            if any(name.startswith(folder) for name in names):
                return with_macros if folder + b"vbaProject.bin" in names else plain
    if b"AndroidManifest.xml" in names:
        return "application/vnd.android.package-archive"
    return "application/java-archive" if b"META-INF/MANIFEST.MF" in names else None


SIGNATURES: Final = (
    Signature("application/zip", ((0, b"PK\3\4"),), _zip, _zip_content),
    Signature("application/zip", ((0, b"PK\5\6"),), _zip),
    Signature("application/gzip", ((0, b"\x1f\x8b\x08"),), _gzip),
    Signature("application/x-tar", ((257, b"ustar"),), _tar),
    Signature("application/vnd.rar", ((0, b"Rar!\x1a\x07\0"),)),
    Signature("application/vnd.rar", ((0, b"Rar!\x1a\x07\1\0"),)),
    Signature("application/x-7z-compressed", ((0, b"7z\xbc\xaf\x27\x1c"),)),
    Signature("application/x-bzip2", ((0, b"BZh"), (4, b"1AY&SY"))),
    Signature("application/x-xz", ((0, b"\xfd7zXZ\0"),)),
)
