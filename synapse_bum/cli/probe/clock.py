"""How far this clock is from the server's: its answers carry the time (RFC 9110 section 6.6.1). Pure."""

from email.utils import parsedate_to_datetime
from typing import Final

MAX_OFFSET_MS: Final = 30_000
"""A clock that is further off puts a result into the wrong minute."""

_HALF_A_SECOND_MS: Final = 500


def offset_ms(date_header: str | None, sent_ms: int, received_ms: int) -> int | None:
    """Returns how far this clock is ahead of the server's.

    Args:
        date_header: `Date` of an answer; it has no fractions of a second.
        sent_ms: when the request went out, by this clock.
        received_ms: when the answer was there.

    Returns:
        ms, right within a second and the time the answer took; None when the answer has no time.
    """
    if date_header is None:
        return None
    try:
        theirs_ms = int(parsedate_to_datetime(date_header).timestamp() * 1_000) + _HALF_A_SECOND_MS
    except (ValueError, OverflowError):
        return None
    return (sent_ms + received_ms) // 2 - theirs_ms
