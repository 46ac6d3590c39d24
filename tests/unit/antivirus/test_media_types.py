"""Real files of every kind are recognised by their content, as an independent library recognises them."""

import gzip
import io
import lzma
import os
import struct
import sys
import tarfile
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import filetype  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFont

from synapse_bum.antivirus.media_types import MediaType, identify, is_opaque, may_be_encrypted, sniff

TEXT = "Sehr geehrte Damen und Herren, anbei die Unterlagen für das nächste Gespräch.\n"
OFFICE = "application/vnd.openxmlformats-officedocument"
ODF = "application/vnd.oasis.opendocument"


def identified(content: bytes) -> MediaType:
    fd = os.memfd_create("sample")
    try:
        os.write(fd, content)
        found = identify(fd, len(content))
        assert sniff(fd, len(content)) == found.name
        assert is_opaque(fd, len(content)) is not found.is_confirmed
        assert os.lseek(fd, 0, os.SEEK_CUR) == len(content)
    finally:
        os.close(fd)
    return found


def an_image(file_format: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 40).convert(mode).save(buffer, file_format, **options)
    return buffer.getvalue()


def a_zip(*names: str, first: tuple[str, bytes] | None = None, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        if first:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, TEXT, zipfile.ZIP_DEFLATED)
        archive.comment = comment
    return buffer.getvalue()


def an_office_file(*names: str) -> bytes:
    return a_zip("[Content_Types].xml", "_rels/.rels", *names)


def an_open_document(kind: str) -> bytes:
    return a_zip("content.xml", "META-INF/manifest.xml", first=("mimetype", f"{ODF}.{kind}".encode()))


def a_zip64() -> bytes:
    """A stored archive whose end record points to that of ZIP64 (APPNOTE 4.3.14 and 4.3.15)."""
    plain = a_zip("a.txt", "b.txt")
    entries, size, directory = struct.unpack("<HII", plain[-12:-2])
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, directory)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(plain) - 22, 1)
    return (
        plain[:-22] + record + locator + struct.pack("<4s4HIIH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    )


def a_wave() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 2, 8000, 100, "NONE", ""))
        sound.writeframes(os.urandom(200))
    return buffer.getvalue()


def an_mp3(frames: int = 6, header: int = 0xFFFB9064) -> bytes:
    """Frames of MPEG-1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes each."""
    return (struct.pack(">I", header) + os.urandom(413)) * frames


def an_id3_tag(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + os.urandom(size)


def an_aac() -> bytes:
    return (b"\xff\xf1\x50\x80\x0c\x9f\xfc" + os.urandom(93)) * 6


def an_ogg(packet: bytes) -> bytes:
    packet += bytes(11)
    return struct.pack("<4sBBqIIIB", b"OggS", 0, 2, 0, 77, 0, 0, 1) + bytes([len(packet)]) + packet + os.urandom(500)


def a_box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def an_mp4(brand: bytes, following: bytes = b"mdat") -> bytes:
    return a_box(b"ftyp", brand + bytes(4) + b"isom" + brand) + a_box(following, os.urandom(500))


def a_matroska(kind: bytes) -> bytes:
    elements = b"\x42\x86\x81\1\x42\xf7\x81\1\x42\xf2\x81\4\x42\xf3\x81\x08\x42\x82" + bytes([0x80 + len(kind)]) + kind
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 + len(elements)]) + elements + b"\x18\x53\x80\x67" + os.urandom(300)


def a_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return buffer.getvalue()


def a_windows_program() -> bytes:
    return (
        b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80) + bytes(64) + b"PE\0\0" + bytes(20) + b"\x0b\2" + bytes(99)
    )


def a_compound_file(stream: str) -> bytes:
    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(512, b"\0"))
    struct.pack_into("<HH", header, 28, 0xFFFE, 9)
    struct.pack_into("<I", header, 48, 1)
    names = ("Root Entry", "1Table", stream)
    return bytes(header) + bytes(512) + b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in names)


def a_font() -> bytes:
    font = ImageFont.load_default()
    assert isinstance(font, ImageFont.FreeTypeFont)
    return bytes(font.font_bytes)


def a_program() -> bytes:
    return Path(sys.executable).read_bytes()[:100_000]


JPEG = an_image("JPEG")

SAMPLES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "png": ("image/png", lambda: an_image("PNG")),
    "gif": ("image/gif", lambda: an_image("GIF")),
    "gif without colours": ("image/gif", lambda: b"GIF87a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\0;"),
    "jpeg": ("image/jpeg", lambda: JPEG),
    "grey jpeg": ("image/jpeg", lambda: an_image("JPEG", mode="L")),
    "progressive jpeg": ("image/jpeg", lambda: an_image("JPEG", progressive=True, exif=b"Exif\0\0" + bytes(60_000))),
    "webp": ("image/webp", lambda: an_image("WEBP")),
    "lossless webp": ("image/webp", lambda: an_image("WEBP", lossless=True)),
    "bmp": ("image/bmp", lambda: an_image("BMP")),
    "icon": ("image/vnd.microsoft.icon", lambda: an_image("ICO", (64, 64))),
    "icon of bitmaps": ("image/vnd.microsoft.icon", lambda: an_image("ICO", (64, 64), bitmap_format="bmp")),
    "tiff": ("image/tiff", lambda: an_image("TIFF")),
    "big-endian tiff": ("image/tiff", lambda: an_image("TIFF", mode="RGB", big_endian=True)),
    "avif": ("image/avif", lambda: an_mp4(b"avif", b"meta")),
    "heic": ("image/heic", lambda: an_mp4(b"heic", b"meta")),
    "wave": ("audio/x-wav", a_wave),
    "mp3": ("audio/mpeg", an_mp3),
    "mp3 with a tag": ("audio/mpeg", lambda: an_id3_tag(20_000) + an_mp3()),
    "mp3 with a padded tag": ("audio/mpeg", lambda: an_id3_tag(200) + bytes(900) + an_mp3()),
    "mp3 of MPEG-2": ("audio/mpeg", lambda: (b"\xff\xf3\x84\xc4" + os.urandom(188)) * 6),
    "aac": ("audio/aac", an_aac),
    "flac": ("audio/flac", lambda: b"fLaC\0\0\0\x22" + os.urandom(500)),
    "midi": ("audio/midi", lambda: b"MThd\0\0\0\6" + os.urandom(500)),
    "amr": ("audio/amr", lambda: b"#!AMR\n" + os.urandom(500)),
    "opus": ("audio/ogg", lambda: an_ogg(b"OpusHead")),
    "vorbis": ("audio/ogg", lambda: an_ogg(b"\x01vorbis")),
    "theora": ("video/ogg", lambda: an_ogg(b"\x80theora")),
    "other ogg": ("application/ogg", lambda: an_ogg(b"fishead\0")),
    "mp4": ("video/mp4", lambda: an_mp4(b"mp42", b"moov")),
    "mp4 for streaming": ("video/mp4", lambda: an_mp4(b"isom", b"free")),
    "m4a": ("audio/mp4", lambda: an_mp4(b"M4A ")),
    "quicktime": ("video/quicktime", lambda: an_mp4(b"qt  ", b"wide")),
    "3gpp": ("video/3gpp", lambda: an_mp4(b"3gp5")),
    "webm": ("video/webm", lambda: a_matroska(b"webm")),
    "matroska": ("video/x-matroska", lambda: a_matroska(b"matroska")),
    "avi": ("video/x-msvideo", lambda: b"RIFF\0\4\0\0AVI LIST" + os.urandom(500)),
    "pdf": ("application/pdf", lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + os.urandom(500)),
    "pdf by Pillow": ("application/pdf", lambda: an_image("PDF")),
    "postscript": ("application/postscript", lambda: an_image("EPS")),
    "rtf": ("application/rtf", lambda: b"{\\rtf1\\ansi Hallo}"),
    "docx": (f"{OFFICE}.wordprocessingml.document", lambda: an_office_file("word/document.xml")),
    "xlsx": (f"{OFFICE}.spreadsheetml.sheet", lambda: an_office_file("xl/workbook.xml")),
    "pptx": (f"{OFFICE}.presentationml.presentation", lambda: an_office_file("ppt/presentation.xml")),
    "docm": (
        "application/vnd.ms-word.document.macroenabled.12",
        lambda: an_office_file("word/document.xml", "word/vbaProject.bin"),
    ),
    "odt": (f"{ODF}.text", lambda: an_open_document("text")),
    "ods": (f"{ODF}.spreadsheet", lambda: an_open_document("spreadsheet")),
    "odp": (f"{ODF}.presentation", lambda: an_open_document("presentation")),
    "epub": ("application/epub+zip", lambda: a_zip("a.opf", first=("mimetype", b"application/epub+zip"))),
    "doc": ("application/msword", lambda: a_compound_file("WordDocument")),
    "xls": ("application/vnd.ms-excel", lambda: a_compound_file("Workbook")),
    "ppt": ("application/vnd.ms-powerpoint", lambda: a_compound_file("PowerPoint Document")),
    "other compound file": ("application/x-ole-storage", lambda: a_compound_file("Anything")),
    "zip": ("application/zip", lambda: a_zip("a.txt", "b.txt")),
    "zip with a comment": ("application/zip", lambda: a_zip("a.txt", comment=b"PK" * 30_000)),
    "zip of nothing": ("application/zip", a_zip),
    "zip64": ("application/zip", a_zip64),
    "zip of many": ("application/zip", lambda: a_zip(*(f"{number}.txt" for number in range(10_500)))),
    "jar": ("application/java-archive", lambda: a_zip("META-INF/MANIFEST.MF", "a.class")),
    "zip that lies about its type": ("application/zip", lambda: a_zip("a", first=("mimetype", b"image/png"))),
    "gzip": ("application/gzip", lambda: gzip.compress(TEXT.encode())),
    "gzip of nothing": ("application/gzip", lambda: gzip.compress(b"")),
    "large gzip": ("application/gzip", lambda: gzip.compress(os.urandom(50_000))),
    "gzip of a bomb": ("application/gzip", lambda: gzip.compress(bytes(20_000_000))),
    "tar": ("application/x-tar", a_tar),
    "xz": ("application/x-xz", lambda: lzma.compress(os.urandom(500))),
    "7z": ("application/x-7z-compressed", lambda: b"7z\xbc\xaf\x27\x1c\0\4" + os.urandom(500)),
    "rar": ("application/vnd.rar", lambda: b"Rar!\x1a\7\1\0" + os.urandom(500)),
    "elf": ("application/x-executable", a_program),
    "exe": ("application/vnd.microsoft.portable-executable", a_windows_program),
    "mach-o": ("application/x-mach-binary", lambda: b"\xcf\xfa\xed\xfe\7\0\0\1\3\0\0\0\2\0\0\0" + bytes(99)),
    "universal mach-o": ("application/x-mach-binary", lambda: b"\xca\xfe\xba\xbe\0\0\0\2\1\0\0\7" + bytes(99)),
    "java class": ("application/x-java-applet", lambda: b"\xca\xfe\xba\xbe\0\0\0\x3d\0\x1a\x0a\0" + bytes(99)),
    "wasm": ("application/wasm", lambda: b"\0asm\1\0\0\0" + os.urandom(99)),
    "shortcut": ("application/x-ms-shortcut", lambda: b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(99)),
    "ttf": ("font/ttf", a_font),
    "woff2": ("font/woff2", lambda: b"wOF2\0\1\0\0" + struct.pack(">I", 512) + os.urandom(500)),
    "empty": ("inode/x-empty", lambda: b""),
    "text": ("text/plain", TEXT.encode),
    "text of 40 bytes": ("text/plain", lambda: b"a" * 40),
    "text that begins like a program": ("text/plain", lambda: b"MZ " + TEXT.encode()),
    "text that begins like a bitmap": ("text/plain", lambda: b"BMI, " + TEXT.encode()),
    "text with a mark": ("text/plain", lambda: TEXT.encode("utf-8-sig")),
    "text in Windows-1252": ("text/plain", lambda: TEXT.encode("cp1252") * 5),
    "text in UTF-16": ("text/plain", lambda: "Kurze Notiz: „5 €".encode("utf-16")),
    "text in big-endian UTF-16": ("text/plain", lambda: b"\xfe\xff" + TEXT.encode("utf-16-be")),
    "Chinese text in UTF-16": ("text/plain", lambda: ("这是一个很长的文本。" * 200).encode("utf-16")),
    "large text": ("text/plain", ("ß" + TEXT * 40_000).encode),
    "html": ("text/html", lambda: b"\n <!doctype html>\n<title>a</title><script>alert(1)</script>"),
    "html in UTF-16": ("text/html", lambda: "<html><body>Grüße aus Köln".encode("utf-16")),
    "xml": ("text/xml", lambda: b'<?xml version="1.0"?><rss version="2.0"><channel/></rss>'),
    "svg": ("image/svg+xml", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
    "svg behind a prolog": (
        "image/svg+xml",
        lambda: (
            b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <html> -->\n'
            b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd" [<!ENTITY a "b">]>\n<svg>\n</svg>'
        ),
    ),
}

THEIR_NAMES = {
    "application/font-sfnt": "font/ttf",
    "application/font-woff": "font/woff2",
    "application/x-msdownload": "application/vnd.microsoft.portable-executable",
    "application/x-rar-compressed": "application/vnd.rar",
    "audio/x-flac": "audio/flac",
    "image/x-icon": "image/vnd.microsoft.icon",
}
"""What the `filetype` package calls the same format."""

BEYOND_FILETYPE = {
    *("theora", "other ogg", "quicktime", "3gpp", "docm", "jar"),  # it names the container only
    *("text that begins like a program", "text that begins like a bitmap"),  # it believes two bytes
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_what_its_content_says(name: str) -> None:
    media_type, make = SAMPLES[name]
    assert identified(make()) == MediaType(media_type, is_confirmed=True)


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in BEYOND_FILETYPE])
def test_an_independent_library_says_the_same(name: str) -> None:
    content = SAMPLES[name][1]()
    theirs = filetype.guess_mime(content)
    if theirs is not None:
        assert identified(content).name == THEIR_NAMES.get(theirs, theirs)


UNCONFIRMED: dict[str, tuple[str, bytes]] = {
    "a jpeg that is cut off": ("image/jpeg", JPEG[:200]),
    "a png with a wrong checksum": ("image/png", an_image("PNG")[:29] + bytes(100)),
    "a jpeg without a frame": ("image/jpeg", b"\xff\xd8\xff\xe0\0\4\0\0\xff\xda\0\x08\1" + bytes(100)),
    "a video of one box": ("video/mp4", a_box(b"ftyp", b"mp42" + bytes(4)) + bytes(100)),
    "a program whose header is another": (
        "application/vnd.microsoft.portable-executable",
        a_windows_program().replace(b"PE\0\0", b"NE\0\0"),
    ),
    "a gzip that is cut off": ("application/gzip", gzip.compress(TEXT.encode())[:-20]),
    "a zip that is cut off": ("application/zip", a_zip("a.txt", "b.txt")[:-1]),
    "a zip with something behind it": ("application/zip", a_zip("a.txt") + b"\0"),
    "a gzip with a wrong checksum": ("application/gzip", gzip.compress(TEXT.encode())[:-8] + bytes(8)),
    "a DOS program": ("application/vnd.microsoft.portable-executable", b"MZ" + bytes(range(200))),
    "markup before binary data": ("text/html", b"<script>alert(1)</script>" + bytes(100)),
    "short text": ("text/plain", b"a" * 39),
    "short 8-bit text": ("text/plain", "ä".encode("cp1252") * 287),
    "short text in UTF-16": ("text/plain", b"\xff\xfe" + "Grüße €".encode("utf-16-le")),
    "short Chinese text in UTF-16": ("text/plain", ("文" * 1023).encode("utf-16")),
    "text with a binary byte": ("application/octet-stream", TEXT.encode() * 20 + b"\0"),
    "large text with a binary byte": ("application/octet-stream", TEXT.encode() * 20_000 + b"\x1b\x1c"),
    "UTF-16 with a lone surrogate": ("application/octet-stream", b"\xff\xfe" + b"a\0" * 2000 + b"\0\xd8"),
    "UTF-16 with a control character": ("application/octet-stream", "a\0b".encode("utf-16") * 9),
}


@pytest.mark.parametrize("name", UNCONFIRMED)
def test_what_only_looks_like_something_is_named_but_not_confirmed(name: str) -> None:
    media_type, content = UNCONFIRMED[name]
    assert identified(content) == MediaType(media_type, is_confirmed=False)


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=40))
def test_every_text_without_control_characters_is_text(text: str) -> None:
    found = identified(f"Text: {text}\n".encode())
    assert found == MediaType("text/plain", is_confirmed=True)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"ok", False),
        ("ä".encode() * 32, False),
        ("ä".encode("cp1252") * 20, True),
        (b"ok" * 16 + bytes(33), True),
        (b"ok\0", True),
        (JPEG[:200], True),
        (JPEG, False),
        (b"", False),
    ],
)
def test_a_short_text_needs_no_proof_that_it_is_not_encrypted(content: bytes, *, expected: bool) -> None:
    fd = os.memfd_create("sample")
    try:
        os.write(fd, content)
        assert may_be_encrypted(fd, len(content)) is expected
    finally:
        os.close(fd)
