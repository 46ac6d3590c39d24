"""Mails about reports that still have to be sent: written in the transaction of what they tell of. A few rows."""

import secrets
from enum import Enum
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.portal.support.tickets import Ticket, read_one

RETRY_MS: Final = 300_000
"""How long a mail is left alone after somebody began to send it; longer than sending may take."""

# A time further in the future was written by a clock that was wrong.
_IS_FREE: Final = "(not_before_ts <= ? OR not_before_ts > ?)"
_ADD: Final = (
    "INSERT INTO synapse_bum_portal_ticket_mails (mail_id, ticket_id, kind, recipient, written_ts, not_before_ts)"
    " VALUES (?, ?, ?, ?, ?, 0)"
)
_OLDEST: Final = (
    "SELECT mail_id, ticket_id, kind, recipient FROM synapse_bum_portal_ticket_mails"  # noqa: S608 - our own words
    f" WHERE {_IS_FREE} ORDER BY written_ts, mail_id LIMIT 1"
)
_TAKE: Final = f"UPDATE synapse_bum_portal_ticket_mails SET not_before_ts = ? WHERE mail_id = ? AND {_IS_FREE}"  # noqa: S608
_DROP: Final = "DELETE FROM synapse_bum_portal_ticket_mails WHERE mail_id = ?"


class MailKind(Enum):
    """What a mail tells of."""

    REPORTED = "reported"
    CONFIRMED = "confirmed"
    ANSWERED = "answered"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Waiting:
    """A mail in the outbox.

    Attributes:
        mail_id: names it.
        kind: what it tells of.
        recipient: None for the support.
        ticket: as it is now.
    """

    mail_id: str
    kind: MailKind
    recipient: str | None
    ticket: Ticket


def add_mails(txn: Cursor, kind: MailKind, ticket_id: str, email: str | None, now_ms: int) -> None:
    """Puts a mail to the support into the outbox, and one to whoever wants to be told.

    Args:
        txn: of what the mails tell of.
        kind: of it.
        ticket_id: of the report.
        email: who wants to be told too; None for nobody.
        now_ms: ms since the epoch.
    """
    for recipient in (None,) if email is None else (None, email):
        txn.execute(_ADD, (secrets.token_hex(8), ticket_id, kind.value, recipient, now_ms))


def take_mail(txn: Cursor, now_ms: int) -> Waiting | None:
    """Takes the oldest mail that may be sent now, and keeps everybody else from it for `RETRY_MS`.

    Returns:
        the mail; None when there is none.
    """
    free = (now_ms, now_ms + RETRY_MS)
    txn.execute(_OLDEST, free)
    row = txn.fetchone()
    if row is None:
        return None
    mail_id, ticket_id, kind, recipient = row
    # Again with the condition: on PostgreSQL somebody else may have taken it since, and then there is nothing to do.
    txn.execute(_TAKE, (now_ms + RETRY_MS, mail_id, *free))
    if txn.rowcount != 1:
        return None
    ticket = read_one(txn, ticket_id)
    return None if ticket is None else Waiting(mail_id, MailKind(kind), recipient, ticket)


def drop_mail(txn: Cursor, mail_id: str) -> None:
    """Forgets a mail that was sent."""
    txn.execute(_DROP, (mail_id,))
