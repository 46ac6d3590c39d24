"""The table of daily counts, and every query on it."""

import datetime as dt
from typing import Any, Final

import attr

from synapse_bum.database import Component, Cursor, Migration

STATISTICS: Final = Component(
    "portal_statistics",
    (
        Migration.both(
            1,
            # One row a day, the day as ISO 8601 writes it: the order of the texts is that of the days. At most two
            # years of them, so that no query needs another index.
            "CREATE TABLE synapse_bum_portal_statistics (day TEXT NOT NULL PRIMARY KEY, ts BIGINT NOT NULL,"
            " counted_ts BIGINT NOT NULL, rooms BIGINT, messages BIGINT NOT NULL, sent_messages BIGINT NOT NULL,"
            " active_users BIGINT)",
        ),
        Migration.both(2, "ALTER TABLE synapse_bum_portal_statistics ADD COLUMN registered_users BIGINT"),
    ),
)

_COLUMNS: Final = "day, ts, counted_ts, rooms, messages, sent_messages, active_users, registered_users"

# By the primary key: its last entry, one row, and a range.
_LAST: Final = "SELECT MAX(day) FROM synapse_bum_portal_statistics WHERE day < ?"
_ADD: Final = (
    f"INSERT INTO synapse_bum_portal_statistics ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our own names
    " ON CONFLICT (day) DO NOTHING"
)
_DROP: Final = "DELETE FROM synapse_bum_portal_statistics WHERE day < ?"
# Both read the whole table: a row for each day of two years.
_COUNT: Final = "SELECT COUNT(*) FROM synapse_bum_portal_statistics WHERE ts >= ? AND ts < ?"
_LIST: Final = (
    f"SELECT {_COLUMNS} FROM synapse_bum_portal_statistics WHERE ts >= ? AND ts < ?"  # noqa: S608 - our own names
    " ORDER BY day LIMIT ? OFFSET ?"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Day:
    """What was counted of one day.

    Attributes:
        day: of Germany's calendar.
        ts: its first moment; ms since the epoch.
        counted_ts: when it was counted.
        rooms: with at least one of our users, at the end of the day; None when it was counted too late to know.
        messages: that were sent on the day, by users of all servers.
        sent_messages: those of our own users.
        active_users: our users who used a device on the day of UTC; None when nobody was to know.
        registered_users: our users at the end of the day, locked ones too; None when it was counted too late to know.
    """

    day: dt.date
    ts: int
    counted_ts: int
    rooms: int | None
    messages: int
    sent_messages: int
    active_users: int | None
    registered_users: int | None

    def as_json(self, *, show_activity: bool) -> dict[str, Any]:
        """The object that the API shows."""
        return {
            "day": self.day.isoformat(),
            "ts": self.ts,
            "counted_ts": self.counted_ts,
            "rooms": self.rooms,
            "messages": self.messages,
            "sent_messages": self.sent_messages,
            "active_users": self.active_users if show_activity else None,
            "registered_users": self.registered_users,
        }


def last_day(txn: Cursor, today: dt.date) -> dt.date | None:
    """The last day before today that was counted, None for none; later ones were written by a clock that was wrong."""
    txn.execute(_LAST, (today.isoformat(),))
    row = txn.fetchone()
    return None if row is None or row[0] is None else dt.date.fromisoformat(row[0])


def add(txn: Cursor, day: Day) -> bool:
    """Writes down a day; one that is there already stays as it is. Returns whether it was written."""
    txn.execute(_ADD, (day.day.isoformat(), *attr.astuple(day)[1:]))
    return txn.rowcount == 1


def drop_before(txn: Cursor, day: dt.date) -> None:
    """Drops all days before one."""
    txn.execute(_DROP, (day.isoformat(),))


def list_days(txn: Cursor, from_ts: int, before_ts: int, offset: int, limit: int) -> tuple[list[Day], int]:
    """Reads days, the earliest first.

    Args:
        txn: in a transaction.
        from_ts: days that begin then or later; ms since the epoch.
        before_ts: and before this moment.
        offset: days to leave out.
        limit: at most so many.

    Returns:
        the days, and how many there are in all.
    """
    txn.execute(_COUNT, (from_ts, before_ts))
    counted = txn.fetchone()
    txn.execute(_LIST, (from_ts, before_ts, limit, offset))
    days = [Day(dt.date.fromisoformat(row[0]), *row[1:]) for row in txn.fetchall()]
    return days, counted[0] if counted else 0
