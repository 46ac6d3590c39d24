"""What operators have been told, and the mails that still have to be sent. Both tables hold a few rows."""

from decimal import Decimal
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.storage.alerts.mail import Notice
from synapse_bum.storage.alerts.thresholds import Crossing
from synapse_bum.storage.usage import Pool

RETRY_MS: Final = 300_000
"""How long a mail is left alone after somebody began to send it; longer than sending may take."""

MAX_AGE_MS: Final = 7 * 86_400_000
"""After this time a mail that nobody could send says nothing any more."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Waiting:
    """A mail in the outbox.

    Attributes:
        mail_id: names it.
        notice: what it says.
    """

    mail_id: str
    notice: Notice


def told(txn: Cursor) -> frozenset[Decimal]:
    """The thresholds of which operators have been told."""
    txn.execute("SELECT threshold FROM synapse_bum_storage_alerts")
    return frozenset(Decimal(threshold) for (threshold,) in txn.fetchall())


def write_told(txn: Cursor, before: frozenset[Decimal], crossing: Crossing, now_ms: int) -> None:
    """Note what operators are told now; only rows that change are written."""
    for threshold in sorted(before - crossing.told):
        txn.execute("DELETE FROM synapse_bum_storage_alerts WHERE threshold = ?", (str(threshold),))
    for threshold in crossing.new:
        txn.execute(
            "INSERT INTO synapse_bum_storage_alerts (threshold, reached_ts) VALUES (?, ?)", (str(threshold), now_ms)
        )


def add_mail(txn: Cursor, mail_id: str, notice: Notice) -> None:
    """Put a mail into the outbox."""
    txn.execute(
        "INSERT INTO synapse_bum_storage_alert_mails (mail_id, reached_ts, thresholds, users, used_bytes,"
        " included_bytes, gigabyte, not_before_ts) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (
            mail_id,
            notice.reached_ts,
            " ".join(map(str, notice.thresholds)),
            notice.pool.users,
            notice.pool.used_bytes,
            notice.pool.included_bytes,
            notice.pool.gigabyte,
        ),
    )


def take_mail(txn: Cursor, now_ms: int) -> Waiting | None:
    """Take the oldest mail that may be sent now, and keep everybody else from it for `RETRY_MS`.

    A time further in the future was written by a clock that was wrong.

    Returns:
        the mail; None when there is none.
    """
    txn.execute(
        "SELECT mail_id, reached_ts, thresholds, users, used_bytes, included_bytes, gigabyte"
        " FROM synapse_bum_storage_alert_mails WHERE not_before_ts <= ? OR not_before_ts > ?"
        " ORDER BY reached_ts, mail_id LIMIT 1",
        (now_ms, now_ms + RETRY_MS),
    )
    row = txn.fetchone()
    if row is None:
        return None
    mail_id, reached_ts, thresholds, *numbers = row
    # Again with the condition: on PostgreSQL somebody else may have taken it since, and then there is nothing to do.
    txn.execute(
        "UPDATE synapse_bum_storage_alert_mails SET not_before_ts = ?"
        " WHERE mail_id = ? AND (not_before_ts <= ? OR not_before_ts > ?)",
        (now_ms + RETRY_MS, mail_id, now_ms, now_ms + RETRY_MS),
    )
    if txn.rowcount != 1:
        return None
    return Waiting(mail_id, Notice(reached_ts, tuple(map(Decimal, thresholds.split())), Pool(*numbers)))


def drop_mail(txn: Cursor, mail_id: str) -> None:
    """Forget a mail that was sent."""
    txn.execute("DELETE FROM synapse_bum_storage_alert_mails WHERE mail_id = ?", (mail_id,))


def drop_old_mails(txn: Cursor, now_ms: int) -> int:
    """Forget mails that nobody could send for too long.

    Returns:
        how many.
    """
    txn.execute("DELETE FROM synapse_bum_storage_alert_mails WHERE reached_ts < ?", (now_ms - MAX_AGE_MS,))
    return txn.rowcount
