"""Reports of faults and their table: who reported what, who confirmed it when, and what was answered."""

import secrets
from typing import Any, Final

import attr

from synapse_bum.database import Component, Cursor, Migration
from synapse_bum.portal.support.reaction import Category, due_ms

SUPPORT: Final = Component(
    "portal_support",
    (
        Migration.both(
            1,
            # `text`, `contact` and `answer` are people's own words. `due_ts` is written down when the clock starts.
            "CREATE TABLE synapse_bum_portal_tickets (ticket_id TEXT NOT NULL PRIMARY KEY, category INTEGER NOT NULL,"
            " text TEXT NOT NULL, contact TEXT NOT NULL, email TEXT, reported_by TEXT NOT NULL,"
            " reported_ts BIGINT NOT NULL, confirmed_by TEXT, confirmed_ts BIGINT, due_ts BIGINT,"
            " answered_by TEXT, answered_ts BIGINT, answer TEXT)",
            "CREATE INDEX synapse_bum_portal_tickets_reported ON synapse_bum_portal_tickets (reported_ts, ticket_id)",
            # Mails that are not sent yet; without `recipient` to the support. Nobody tries before `not_before_ts`.
            "CREATE TABLE synapse_bum_portal_ticket_mails (mail_id TEXT NOT NULL PRIMARY KEY, ticket_id TEXT NOT NULL,"
            " kind TEXT NOT NULL, recipient TEXT, written_ts BIGINT NOT NULL, not_before_ts BIGINT NOT NULL)",
        ),
    ),
)

_COLUMNS: Final = (
    "ticket_id, category, text, contact, email, reported_by, reported_ts, confirmed_by, confirmed_ts, due_ts,"
    " answered_by, answered_ts, answer"
)

# The mails are a few rows, and none when the mail server is there.
_WAITING: Final = (
    "(SELECT COUNT(*) FROM synapse_bum_portal_ticket_mails WHERE ticket_id = synapse_bum_portal_tickets.ticket_id)"
)
_SELECT: Final = f"SELECT {_COLUMNS}, {_WAITING} FROM synapse_bum_portal_tickets"  # noqa: S608 - our own names
# By primary key.
_ONE: Final = f"{_SELECT} WHERE ticket_id = ?"
_ADD: Final = (
    "INSERT INTO synapse_bum_portal_tickets (ticket_id, category, text, contact, email, reported_by, reported_ts)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_CONFIRM: Final = (
    "UPDATE synapse_bum_portal_tickets SET category = ?, confirmed_by = ?, confirmed_ts = ?, due_ts = ?"
    " WHERE ticket_id = ? AND confirmed_ts IS NULL"
)
_ANSWER: Final = (
    "UPDATE synapse_bum_portal_tickets SET answered_by = ?, answered_ts = ?, answer = ?"
    " WHERE ticket_id = ? AND confirmed_ts IS NOT NULL AND answered_ts IS NULL"
)
# Along the index on (reported_ts, ticket_id), from its end; the count reads it whole: some reports a month.
_PAGE: Final = f"{_SELECT} ORDER BY reported_ts DESC, ticket_id DESC LIMIT ? OFFSET ?"
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_portal_tickets"
# Reads the table, which grows by some reports a month; the second only its end, by the index on `reported_ts`.
_OPEN: Final = "SELECT COUNT(*) FROM synapse_bum_portal_tickets WHERE reported_by = ? AND answered_ts IS NULL"
_LATELY: Final = "SELECT COUNT(*) FROM synapse_bum_portal_tickets WHERE reported_ts > ? AND reported_by = ?"
# By the same index: only what goes is read. Mails of a report that has gone say nothing any more.
_DROP: Final = "DELETE FROM synapse_bum_portal_tickets WHERE reported_ts < ? AND answered_ts IS NOT NULL"
_DROP_MAILS: Final = (
    "DELETE FROM synapse_bum_portal_ticket_mails"
    " WHERE ticket_id NOT IN (SELECT ticket_id FROM synapse_bum_portal_tickets)"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Ticket:
    """One report.

    Attributes:
        ticket_id: names it, on the telephone too.
        category: how urgent it is.
        text: what is wrong, in the words of whoever reported it.
        contact: who can be asked, and how.
        email: where the answers go too; None for nowhere.
        reported_by: user id.
        reported_ts: all times in ms since the epoch.
        confirmed_by: the operator whose confirmation began the clock; None before.
        confirmed_ts: when that was.
        due_ts: until when somebody reacts.
        answered_by: the operator who reacted; None before.
        answered_ts: when that was.
        answer: what was said.
        mails_waiting: mails about it that are not sent yet.
    """

    ticket_id: str
    category: Category = attr.ib(converter=Category)
    text: str = attr.ib(repr=False)
    contact: str = attr.ib(repr=False)
    email: str | None = attr.ib(repr=False)
    reported_by: str
    reported_ts: int
    confirmed_by: str | None = None
    confirmed_ts: int | None = None
    due_ts: int | None = None
    answered_by: str | None = None
    answered_ts: int | None = None
    answer: str | None = attr.ib(default=None, repr=False)
    mails_waiting: int = 0

    def as_json(self) -> dict[str, Any]:
        """The object that the API shows."""
        shown = attr.asdict(self)
        return {"id": shown.pop("ticket_id"), **shown, "category": self.category.value}


def new_id() -> str:
    """Returns a name for a report that is short enough to be read out."""
    return secrets.token_hex(4).upper()


def add(txn: Cursor, ticket: Ticket) -> None:
    """Writes down a new report."""
    row = attr.astuple(ticket)[:7]
    txn.execute(_ADD, (row[0], ticket.category.value, *row[2:]))


def count_open(txn: Cursor, user_id: str) -> int:
    """Counts the reports of one person that are not answered."""
    txn.execute(_OPEN, (user_id,))
    return _number(txn)


def count_since(txn: Cursor, user_id: str, begin_ms: int) -> int:
    """Counts the reports that one person made after a time."""
    txn.execute(_LATELY, (begin_ms, user_id))
    return _number(txn)


def _number(txn: Cursor) -> int:
    row = txn.fetchone()
    return row[0] if row else 0


def read_one(txn: Cursor, ticket_id: str) -> Ticket | None:
    """Reads a report; None when there is none."""
    txn.execute(_ONE, (ticket_id,))
    row = txn.fetchone()
    return None if row is None else Ticket(*row)


def read_page(txn: Cursor, offset: int, limit: int) -> tuple[list[Ticket], int]:
    """Reads reports, the newest first.

    Returns:
        the reports, and how many there are in all.
    """
    txn.execute(_COUNT)
    counted = txn.fetchone()
    txn.execute(_PAGE, (limit, offset))
    return [Ticket(*row) for row in txn.fetchall()], counted[0] if counted else 0


def confirm(txn: Cursor, ticket_id: str, category: Category, actor: str, now_ms: int) -> bool:
    """Begins the clock; of several at once one does it.

    Args:
        txn: in a transaction.
        ticket_id: of the report.
        category: how urgent the operator and whoever reported it agree it is.
        actor: the operator.
        now_ms: ms since the epoch.
    """
    txn.execute(_CONFIRM, (category.value, actor, now_ms, due_ms(category, now_ms), ticket_id))
    return txn.rowcount == 1


def answer(txn: Cursor, ticket_id: str, text: str, actor: str, now_ms: int) -> bool:
    """Writes down the first reaction to a confirmed report; of several at once one does it."""
    txn.execute(_ANSWER, (actor, now_ms, text, ticket_id))
    return txn.rowcount == 1


def drop_older(txn: Cursor, before_ms: int) -> int:
    """Drops reports that have been answered and were made before a time. Returns how many."""
    txn.execute(_DROP, (before_ms,))
    dropped = txn.rowcount
    if dropped:
        txn.execute(_DROP_MAILS)
    return dropped
