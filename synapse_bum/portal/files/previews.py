"""Which files the portal shows a picture of, and what it takes for a picture. Pure.

What is shown is never the file: it is the thumbnail that Synapse made of it, small and encoded anew.
"""

from collections.abc import Mapping
from typing import Any, Final

import attr

from synapse_bum.portal.files.stored_files import HELD, StoredFile

TYPES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Of files with a preview, as their senders say; also of previews, as their first bytes say. SVG may hold programs."""

MAX_BYTES: Final = 4 * 2**20
"""Of a preview; Synapse's own of 800 by 600 dots have a tenth of that."""

THUMBNAIL: Final = "/_matrix/client/v1/media/thumbnail/{server_name}/{media_id}"
SIZE: Final[Mapping[str, str | int | bool | None]] = {"width": 800, "height": 600, "method": "scale"}
"""One of the sizes that Synapse makes of every picture, unless it is configured otherwise."""

_WEBP_NAME: Final = slice(8, 12)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Scan:
    """What the antivirus module says of a file.

    Attributes:
        state: `clean`, `unscanned`, `encrypted` or `blocked`.
        scanned_ms: None for never.
        is_current: whether it is clean by today's signatures.
    """

    state: str
    scanned_ms: int | None
    is_current: bool

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Scan":
        """Reads an answer of `GET B/antivirus/scans/...`."""
        return cls(found["scan_state"], found["scanned_ts"], found["is_current"] is True)


def obstacle(file: StoredFile | None, scan: Scan | None, *, has_scanner: bool) -> str | None:
    """Decides why a file has no preview; None when it has one.

    Args:
        file: what the server says of it; None when it says nothing.
        scan: what the antivirus module says of it; None when it knows nothing.
        has_scanner: whether the antivirus module answers.

    Returns:
        the last part of a key below `files.preview.not`.
    """
    if not has_scanner:
        return "no_scanner"
    if file is None:
        return "unknown"
    if file.quarantined_by in HELD:
        return "held"
    if file.quarantined_by is not None or (scan is not None and scan.state == "blocked"):
        return "blocked"
    if scan is not None and scan.state == "encrypted":
        return "encrypted"
    if file.media_type.partition(";")[0].strip().lower() not in TYPES:
        return "no_picture"
    if scan is None or scan.state != "clean":
        return "unscanned"
    return None if scan.is_current else "outdated"


def picture_type(content: bytes) -> str | None:
    """Returns the media type of a picture by its first bytes; None for everything that is none of `TYPES`."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[_WEBP_NAME] == b"WEBP":
        return "image/webp"
    return None
