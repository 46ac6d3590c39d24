"""What each row about a file is kept for, and when that has ended (GDPR, Article 5(1)(e)). Pure.

No rule here ends a refusal: of findings and releases only names are forgotten, the bytes stay refused or released. What
goes as a whole says no more than that a file was clean, waits for a scan, or was sent somewhere: without it a file that
comes back counts as never scanned.
"""

from typing import Final

import attr

EVIDENCE_MS: Final = 366 * 86_400_000
"""How long who uploaded, reported or released something stays known: the longest year, as messages live by contract."""

SETTLED_MS: Final = 86_400_000
"""Verdicts are written before the row of their file: a younger one may be about a file that is just being stored."""


@attr.s(auto_attribs=True, frozen=True, slots=True, kw_only=True)
class LinkFacts:
    """What decides about the note that an event carries a file.

    Attributes:
        is_stored: whether the file is here.
        has_event: whether the event is here.
        is_blocked: whether a finding blocks the file, so that events with it are marked.
        is_list_full: whether more events may carry the file than are noted.
        is_on_hold: whether a hold is on the room, or keeps what the sender has sent.
    """

    is_stored: bool
    has_event: bool
    is_blocked: bool
    is_list_full: bool
    is_on_hold: bool


def link_serves(link: LinkFacts) -> bool:
    """Decide whether it still matters that an event carries a file.

    It marks events that are here, and says whether a file that is here may be deleted. A full list of a file says that
    it may be in use where nobody knows, and stays whole.
    """
    if link.is_on_hold:
        return True
    if not link.has_event:
        return link.is_stored and link.is_list_full
    return link.is_stored or link.is_blocked


def state_serves(*, is_stored: bool, written_ts: int | None, now_ms: int) -> bool:
    """Decide whether a verdict about a file, or the record that it is held, still matters.

    Args:
        is_stored: whether the file is here.
        written_ts: when the row was last written, in ms since the epoch; None for one that is only written about a file
            that is here.
        now_ms: ms since the epoch.
    """
    return is_stored or (written_ts is not None and now_ms - written_ts < SETTLED_MS)


def names_serve(*, is_stored: bool, written_ts: int, now_ms: int, is_on_hold: bool) -> bool:
    """Decide whether it still matters who uploaded or reported an infected file, or released its bytes.

    Args:
        is_stored: whether the file, or any with these bytes, is here.
        written_ts: when it was found or released; ms since the epoch.
        now_ms: ms since the epoch.
        is_on_hold: whether a hold keeps what one of these people has sent.
    """
    return is_stored or is_on_hold or now_ms - written_ts < EVIDENCE_MS
