"""Documents that are neither text nor archives: PDF, PostScript, RTF, and Microsoft's before 2007."""

import re
from typing import Final

from synapse_bum.antivirus.media_types.content import Content
from synapse_bum.antivirus.media_types.signature import Signature

_DIRECTORY_BYTES: Final = 16_384
_ENTRY_BYTES: Final = 128

# The streams that the programs store their document in ([MS-DOC], [MS-XLS], [MS-PPT], [MS-OXMSG]).
_STREAMS: Final = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}


def _pdf(content: Content) -> bool:
    return re.match(rb"%PDF-[0-9]\.[0-9]", content.head) is not None


def _compound_file(content: Content) -> str | None:
    """The streams in the directory tell the program ([MS-CFB] sections 2.2 and 2.6)."""
    sector_shift, first = content.number(30, 2, "little"), content.number(48, 4, "little")
    if sector_shift not in (9, 12):
        return None
    directory = content.up_to((first + 1) << sector_shift, _DIRECTORY_BYTES)
    names = (directory[at : at + 64] for at in range(0, len(directory), _ENTRY_BYTES))
    texts = (name.decode("utf-16-le", "replace").partition("\0")[0] for name in names)
    return next((_STREAMS[text] for text in texts if text in _STREAMS), None)


SIGNATURES: Final = (
    Signature("application/pdf", ((0, b"%PDF-"),), _pdf),
    Signature("application/postscript", ((0, b"%!PS-Adobe-"),)),
    Signature("application/rtf", ((0, b"{\\rtf1"),)),
    Signature("application/x-ole-storage", ((0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),), refine=_compound_file),
    Signature("application/vnd.sqlite3", ((0, b"SQLite format 3\0"),)),
)
