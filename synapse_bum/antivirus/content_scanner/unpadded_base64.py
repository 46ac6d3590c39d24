"""Reading Matrix's unpadded Base64 (Appendices, "Unpadded Base64"; alphabets of RFC 4648 sections 4 and 5).

Pure. Unlike Python's decoder, which skips characters that it does not know, only texts of the alphabet pass. Padding is
accepted where it is right, because clients send it.
"""

import base64
import re
from typing import Final

_STANDARD: Final = re.compile(r"([A-Za-z0-9+/]*)(={0,2})", re.ASCII)
_URL_SAFE: Final = re.compile(r"([A-Za-z0-9_-]*)(={0,2})", re.ASCII)


def decode(text: str) -> bytes:
    """Decodes the standard alphabet, with or without padding.

    Raises:
        ValueError: the text is no Base64; the message does not hold it.
    """
    return base64.b64decode(_padded(_STANDARD, text))


def decode_url_safe(text: str) -> bytes:
    """Decodes the URL-safe alphabet, with or without padding, as JSON Web Keys have it (RFC 7515 section 2).

    Raises:
        ValueError: the text is no URL-safe Base64; the message does not hold it.
    """
    return base64.urlsafe_b64decode(_padded(_URL_SAFE, text))


def encode(content: bytes) -> str:
    """Encodes in the standard alphabet without padding."""
    return base64.b64encode(content).decode().rstrip("=")


def _padded(alphabet: re.Pattern[str], text: str) -> str:
    matched = alphabet.fullmatch(text)
    needed = "=" * (-len(matched[1]) % 4) if matched else ""
    # A rest of one character holds less than a byte; it would need three characters of padding.
    if matched is None or len(needed) > 2 or matched[2] not in ("", needed):
        raise ValueError("not Base64")
    return matched[1] + needed
