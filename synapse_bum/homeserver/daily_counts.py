"""How much happens on the server: its users and rooms, the messages of a day, the users of a day.

Run on Synapse 1.133.0 and 1.163.2: tables `users`, `rooms`, `local_current_membership`, `events`, `user_daily_visits`
(`synapse/storage/databases/main/metrics.py`, which writes the last one every five minutes, by the days of UTC).
"""

from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.homeserver.registered_users import REGISTERED

# PostgreSQL reads `local_current_membership` once and joins by hash: 0.8 s for a million rows and 100,000 rooms
# (measured), so some ten seconds at ten million. SQLite looks into the index on its `room_id` for each room.
_ROOMS: Final = (
    "SELECT COUNT(*) FROM rooms AS r WHERE EXISTS (SELECT 1 FROM local_current_membership AS l"
    " WHERE l.room_id = r.room_id AND l.membership = 'join')"
)
# A range of the index on `events.origin_server_ts`, and the row of each event in it: what the day brought, however many
# events there are besides. 30 ms for 27,000 events of a day (measured), as many as ten million in a year have.
_MESSAGES: Final = (
    "SELECT COUNT(*), COALESCE(SUM(CASE WHEN e.sender LIKE ? ESCAPE '!' THEN 1 ELSE 0 END), 0) FROM events AS e"
    " WHERE e.origin_server_ts >= ? AND e.origin_server_ts < ?"
    " AND e.type IN ('m.room.message', 'm.room.encrypted', 'm.sticker')"
    " AND e.state_key IS NULL AND e.rejection_reason IS NULL AND NOT e.outlier"
)
# A range of the index on `user_daily_visits.timestamp`: a row for each device that was used on the day.
_ACTIVE_USERS: Final = "SELECT COUNT(DISTINCT user_id) FROM user_daily_visits WHERE timestamp = ?"


# No index: reads `users` whole, some 20 ms for 100,000 accounts.
_REGISTERED_USERS: Final = f"SELECT COUNT(*) FROM users AS u WHERE {REGISTERED}"  # noqa: S608 - our own text


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MessageCount:
    """Messages of a span of time, stickers and redacted ones too.

    Attributes:
        total: of users of all servers.
        sent: those of our own users.
    """

    total: int
    sent: int


def count_rooms(txn: LoggingTransaction) -> int:
    """Rooms that at least one of our users is in."""
    txn.execute(_ROOMS)
    return _first(txn)


def count_messages(txn: LoggingTransaction, server_name: str, from_ms: int, before_ms: int) -> MessageCount:
    """Messages whose senders' servers say that they were sent within a span of time.

    Args:
        txn: a transaction.
        server_name: our own.
        from_ms: the first moment, ms since the epoch.
        before_ms: the first moment that does not count any more.
    """
    escaped = server_name.replace("!", "!!").replace("_", "!_").replace("%", "!%")
    txn.execute(_MESSAGES, (f"%:{escaped}", from_ms, before_ms))
    row = txn.fetchone()
    return MessageCount(0, 0) if row is None else MessageCount(int(row[0]), int(row[1]))


def count_registered_users(txn: LoggingTransaction) -> int:
    """Our registered users, as `registered_users.py` has them, locked ones too."""
    txn.execute(_REGISTERED_USERS)
    return _first(txn)


def count_active_users(txn: LoggingTransaction, utc_midnight_ms: int) -> int:
    """Our users who used at least one device on a day; without guests and application services.

    Args:
        txn: a transaction.
        utc_midnight_ms: when the day begins in UTC, ms since the epoch.
    """
    txn.execute(_ACTIVE_USERS, (utc_midnight_ms,))
    return _first(txn)


def _first(txn: LoggingTransaction) -> int:
    row = txn.fetchone()
    return 0 if row is None else int(row[0])
