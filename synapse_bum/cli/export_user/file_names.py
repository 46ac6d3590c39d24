r"""Names for copies of files, made from names that people gave. Pure.

A name of theirs may hold anything: folders, `..`, control characters, signs that turn the direction of writing and so
hide an ending, names that other systems keep for themselves. A running number in front makes each name unique, never
hidden and never reserved.
"""

import mimetypes
import unicodedata
from typing import Final

_MAX_BYTES: Final = 120
_MAX_ENDING_BYTES: Final = 16
# Those that some system gives a meaning of its own, or that break an address in a browser.
_REPLACED: Final = frozenset('<>:"|?*%#&\\/')
# Those that a browser or a desktop runs, from the folder of the export.
_RUN: Final = frozenset(
    {
        "html",
        "htm",
        "xhtml",
        "xht",
        "shtml",
        "mht",
        "mhtml",
        "svg",
        "svgz",
        "xml",
        "xsl",
        "xslt",
        "rdf",
        "atom",
        "rss",
        "js",
        "mjs",
        "hta",
        "url",
        "webloc",
        "desktop",
        "lnk",
    }
)
# Those by which a browser goes; where it knows none, it looks into the file and may find a page in it.
_SHOWN: Final = frozenset(
    {
        "txt",
        "csv",
        "json",
        "pdf",
        "png",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "bmp",
        "mp3",
        "m4a",
        "ogg",
        "oga",
        "ogv",
        "wav",
        "mp4",
        "mov",
        "webm",
        "zip",
        "7z",
        "gz",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "odt",
        "ods",
        "odp",
    }
)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def copy_name(number: int, upload_name: str | None, media_type: str | None) -> str:
    """Make the name of a copy.

    Args:
        number: of the file, from 1 on, different for each.
        upload_name: as the person's application gave it.
        media_type: as the application said; it gives the ending where there is no name.

    Returns:
        One component of a path, at most 134 bytes of UTF-8, without an ending that has browsers run it.
    """
    cleaned = _cleaned((upload_name or "").replace("\\", "/").rpartition("/")[2])
    if not cleaned:
        ending = mimetypes.guess_extension((media_type or "").partition(";")[0].strip().lower(), strict=True)
        cleaned = f"datei{ending or ''}"
    name = f"{number:06}_{_shortened(cleaned)}"
    return f"{name}.txt" if _ending(name) in _RUN else name


def is_shown_safely(name: str) -> bool:
    """Whether a browser that opens such a file goes by its ending, and not by what it finds in it.

    Args:
        name: of a copy.
    """
    return _ending(name) in _SHOWN


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _cleaned(name: str) -> str:
    normal = unicodedata.normalize("NFC", name)
    seen = "".join(
        "_" if character in _REPLACED else character
        for character in normal
        if unicodedata.category(character) not in _UNSEEN
    )
    return " ".join(seen.split()).strip(" .")


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    kept = f"{dot}{ending}" if stem and len(ending.encode()) <= _MAX_ENDING_BYTES else ""
    room = _MAX_BYTES - len(kept.encode())
    return f"{(stem if kept else name).encode()[:room].decode(errors='ignore').rstrip(' .')}{kept}"
