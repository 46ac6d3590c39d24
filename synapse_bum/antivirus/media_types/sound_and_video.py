"""Sound and video: WHATWG MIME Sniffing Standard section 6.2, with the codecs that tell sound from video."""

from collections.abc import Callable
from typing import Final

from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature

_CONSECUTIVE_FRAMES: Final = 4
_MAX_PADDING: Final = 4096

# ISO/IEC 11172-3 table 2.4.2.3 and ISO/IEC 13818-3: kbit/s and Hz of layer III by index.
_BITRATES_MPEG_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0)
_BITRATES_MPEG_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0)
_SAMPLE_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

# What may follow `ftyp` at the top of a file (ISO/IEC 14496-12 table 1, QuickTime File Format).
_BOXES: Final = frozenset(
    {b"moov", b"mdat", b"free", b"skip", b"wide", b"meta", b"uuid", b"pdin", b"moof", b"sidx", b"styp", b"mfra"}
    | {b"emsg", b"prft", b"udta", b"junk", b"pnot", b"ssix", b"mvex", b"ID32"}
)
_BRANDS: Final = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic-sequence",
    b"mif1": "image/heif",
    b"msf1": "image/heif-sequence",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"qt  ": "video/quicktime",
}


def _mp3_frame(header: bytes) -> tuple[int, object]:
    """Returns the length of a frame of layer III and what its neighbours share with it; 0 when it is no such frame."""
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] < 0xE0 or layer != 1 or version not in _SAMPLE_RATES or sample_rate == 3:
        return 0, None
    kilobits = (_BITRATES_MPEG_1 if version == 3 else _BITRATES_MPEG_2)[bitrate]
    slots = (144_000 if version == 3 else 72_000) * kilobits // _SAMPLE_RATES[version][sample_rate]
    return slots + (header[2] >> 1 & 1 if slots else 0), (version, sample_rate)


def _aac_frame(header: bytes) -> tuple[int, object]:
    """The same for a frame of AAC in ADTS (ISO/IEC 13818-7 section 6.2)."""
    profile, sample_rate = header[2] >> 6, header[2] >> 2 & 15
    if header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or sample_rate > 12:
        return 0, None
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return (length if length > 7 else 0), (header[1], profile, sample_rate)


def _frames_from(content: Content, offset: int, frame: Callable[[bytes], tuple[int, object]]) -> bool:
    shared = set()
    for _ in range(_CONSECUTIVE_FRAMES):
        length, kind = frame(content.at(offset, 6))
        shared.add(kind)
        if not length or len(shared) > 1:
            return False
        offset += length
    return True


def _mp3(content: Content) -> bool:
    return _frames_from(content, 0, _mp3_frame)


def _aac(content: Content) -> bool:
    return _frames_from(content, 0, _aac_frame)


def _mp3_behind_id3(content: Content) -> bool:
    """Frames follow the ID3v2 tag and its padding (ID3 tag version 2.4.0 section 3.1)."""
    size = content.at(6, 4)
    if any(byte & 0x80 for byte in size):
        return False
    end = 10 + sum(byte << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=True))
    behind = content.up_to(end, _MAX_PADDING)
    return _frames_from(content, end + len(behind) - len(behind.lstrip(b"\0")), _mp3_frame)


def _ogg(content: Content) -> bool:
    """It is page 0 of a stream, and has a packet (RFC 3533 section 6)."""
    return content.at(18, 4) == bytes(4) and content.at(26, 1) != b"\0"


def _ogg_codec(content: Content) -> str | None:
    packet = content.at(27 + content.at(26, 1)[0], 8)
    if packet.startswith((b"OpusHead", b"\x01vorbis", b"\x7fFLAC", b"Speex")):
        return "audio/ogg"
    return "video/ogg" if packet.startswith(b"\x80theora") else None


def _ebml_document_type(content: Content) -> bytes:
    """Returns the DocType of an EBML header (RFC 8794 section 11.2), and nothing where there is none."""
    offset = content.head.find(b"\x42\x82", 4, 64)
    length = content.at(offset + 2, 1)[0] - 0x80 if offset > 0 else 0
    return content.at(offset + 3, length) if 0 < length <= 16 else b""


def _ebml(content: Content) -> bool:
    return _ebml_document_type(content) in (b"webm", b"matroska")


def _webm(content: Content) -> str | None:
    return "video/webm" if _ebml_document_type(content) == b"webm" else None


def _iso_media(content: Content) -> bool:
    """The box `ftyp` has a plausible length, and another known box follows it."""
    length = content.number(0, 4, "big")
    return 16 <= length <= 1024 and length % 4 == 0 and content.at(length + 4, 4) in _BOXES


def _brand(content: Content) -> str | None:
    brand = content.at(8, 4)
    return "video/3gpp" if brand.startswith((b"3gp", b"3g2")) else _BRANDS.get(brand)


SIGNATURES: Final = (
    Signature("video/mp4", ((4, b"ftyp"),), _iso_media, _brand),
    Signature("video/x-matroska", ((0, b"\x1aE\xdf\xa3"),), _ebml, _webm),
    Signature("application/ogg", ((0, b"OggS\0\2"),), _ogg, _ogg_codec),
    Signature("audio/mpeg", ((0, b"ID3"),), _mp3_behind_id3),
    Signature("audio/mpeg", ((0, b"\xff"),), _mp3, names_alone=False),
    Signature("audio/aac", ((0, b"\xff"),), _aac, names_alone=False),
    Signature("audio/flac", ((0, b"fLaC\0\0\0\x22"),)),
    Signature("audio/flac", ((0, b"fLaC\x80\0\0\x22"),)),
    Signature("audio/x-wav", ((0, b"RIFF"), (8, b"WAVE"))),
    Signature("audio/x-aiff", ((0, b"FORM"), (8, b"AIFF"))),
    Signature("audio/x-aiff", ((0, b"FORM"), (8, b"AIFC"))),
    Signature("audio/midi", ((0, b"MThd\0\0\0\x06"),)),
    Signature("audio/amr", ((0, b"#!AMR\n"),)),
    Signature("audio/amr-wb", ((0, b"#!AMR-WB\n"),)),
    Signature("video/x-msvideo", ((0, b"RIFF"), (8, b"AVI "))),
    Signature("video/x-ms-asf", ((0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c"),)),
)
