"""What kind of file this is, by its content and never by what a client says of it.

Blocking, for a thread: a few reads at offsets, at most about one MiB of them. Formats and rules are those of the WHATWG
MIME Sniffing Standard (https://mimesniff.spec.whatwg.org/), with office documents, archives and programs beside them;
names are those registered with IANA, else libmagic's.

A magic of a few bytes names a format, but does not prove it: who tries keys on a ciphertext soon gets any three
bytes. So every format has a structure that noise does not have, and a type is `confirmed` where that is there too.
Noise is confirmed less often than once in 2^40 files, whatever their size.

What this can't do: a file that its uploader built to look like something at its head can't be told from plaintext,
and an uploader who chooses both keys can make one ciphertext that is something under either. Of large files the middle
is not read. Texts below 40 bytes, 8-bit texts below 288 and files that are cut off are not confirmed. Formats that are
not in the tables are `application/octet-stream`.
"""

import os
from typing import Final

import attr

from synapse_bum.antivirus.media_types import archives, documents, fonts, images, programs, sound_and_video
from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature
from synapse_bum.antivirus.media_types.text import as_text

__all__ = ["SIGNATURES", "MediaType", "identify", "is_opaque", "may_be_encrypted", "sniff"]

SIGNATURES: Final[tuple[Signature, ...]] = (
    *images.SIGNATURES,
    *sound_and_video.SIGNATURES,
    *documents.SIGNATURES,
    *archives.SIGNATURES,
    *programs.SIGNATURES,
    *fonts.SIGNATURES,
)
"""All formats that aren't text."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MediaType:
    """What a file is.

    Attributes:
        name: in lower case, without parameters.
        is_confirmed: whether there is evidence that noise does not have.
    """

    name: str
    is_confirmed: bool


_BY_FIRST_BYTE: Final = tuple(
    tuple(signature for signature in SIGNATURES if signature.may_begin_with(byte)) for byte in range(256)
)
"""The signatures that a file with this first byte can have, in the order of `SIGNATURES`: most files have none."""

SHORT_TEXT_BYTES: Final = 64
"""The EICAR test file has 68 bytes."""

_EMPTY: Final = MediaType("inode/x-empty", is_confirmed=True)
_UNKNOWN: Final = MediaType("application/octet-stream", is_confirmed=False)


def identify(fd: int, size: int) -> MediaType:
    """Finds out what a file is; evidence goes before bare magic.

    Args:
        fd: a regular file, readable; its position is neither used nor changed.
        size: how many bytes of it count.

    Raises:
        OSError: of reading.
    """
    if size == 0:
        return _EMPTY
    content = Content(fd, size)
    candidates = [signature for signature in _BY_FIRST_BYTE[content.head[0]] if signature.has_magic(content)]
    for signature in candidates:
        if signature.is_confirmed(content):
            return MediaType(signature.refined(content), is_confirmed=True)
    text = as_text(content)
    if text and text.is_confirmed:
        return MediaType(text.media_type, is_confirmed=True)
    for signature in candidates:
        if signature.names_alone:
            return MediaType(signature.media_type, is_confirmed=False)
    return MediaType(text.media_type, is_confirmed=False) if text else _UNKNOWN


def sniff(fd: int, size: int) -> str:
    """Returns the media type of a file, `application/octet-stream` when nothing is known of it; see `identify`."""
    return identify(fd, size).name


def may_be_encrypted(fd: int, size: int) -> bool:
    """Whether a scanner that looks at the content may see ciphertext only.

    As `is_opaque`, but a short text in UTF-8 is taken for what it looks like, without the proof that only longer ones
    can have. Of noise, 11 bytes look so once in 20,000 files.
    """
    found = identify(fd, size)
    if found.is_confirmed:
        return False
    return not (size <= SHORT_TEXT_BYTES and found.name.startswith("text/") and _is_utf8(os.pread(fd, size, 0)))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_opaque(fd: int, size: int) -> bool:
    """Whether the content could be ciphertext, or what a wrong key makes of one; see `identify`.

    An empty file isn't.
    """
    return not identify(fd, size).is_confirmed
