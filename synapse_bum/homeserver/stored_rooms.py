"""Rooms as they are stored, for a database that nobody serves yet: blocking one, its names, and removing all of one.

Only for transactions before the listeners (`before_listeners`).

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `blocked_rooms`, `rooms`,
`room_aliases` in `synapse/storage/schema/main`; `_purge_room_txn` in `synapse/storage/databases/main/purge_events.py`.
"""

from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

# All blocked rooms: as many as administrators have blocked.
BLOCKED: Final = "SELECT room_id AS key, user_id AS state FROM blocked_rooms"
# All rooms that this server knows, along the primary key.
KNOWN: Final = "SELECT room_id AS key, '' AS state FROM rooms"
# All names of rooms on this server; one that is given to another room is another one.
ALIASES: Final = "SELECT room_alias AS key, room_id AS state FROM room_aliases"
# All rooms, as for `KNOWN`.
LISTED: Final = "SELECT room_id AS key, '' AS state FROM rooms WHERE is_public"
# By the unique index on `room_id`.
_BLOCK: Final = "INSERT INTO blocked_rooms (room_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_UNBLOCK: Final = "DELETE FROM blocked_rooms WHERE room_id = ?"
# By primary key.
_IS_KNOWN: Final = "SELECT 1 FROM rooms WHERE room_id = ?"
# By the index on `room_id` and the primary key.
_DROP_ALIASES: Final = (
    "DELETE FROM room_alias_servers WHERE room_alias IN (SELECT room_alias FROM room_aliases WHERE room_id = ?)",
    "DELETE FROM room_aliases WHERE room_id = ?",
)

# By the unique index on `room_alias`.
_ALIAS: Final = "SELECT room_id FROM room_aliases WHERE room_alias = ?"
_END_ALIAS: Final = (
    "DELETE FROM room_alias_servers WHERE room_alias = ?",
    "DELETE FROM room_aliases WHERE room_alias = ?",
)
# By primary key.
_UNLIST: Final = "UPDATE rooms SET is_public = FALSE WHERE room_id = ? AND is_public"


def block(txn: LoggingTransaction, room_id: str, user_id: str) -> bool:
    """Blocks a room; returns whether it was not blocked before."""
    txn.execute(_BLOCK, (room_id, user_id))
    return txn.rowcount == 1


def unblock(txn: LoggingTransaction, room_id: str) -> bool:
    """Lifts the block of a room; returns whether there was one."""
    txn.execute(_UNBLOCK, (room_id,))
    return txn.rowcount == 1


def is_known(txn: LoggingTransaction, room_id: str) -> bool:
    """Whether there is such a room."""
    txn.execute(_IS_KNOWN, (room_id,))
    return txn.fetchone() is not None


def end_alias(txn: LoggingTransaction, alias: str) -> tuple[str, str] | None:
    """Takes a name of a room away; returns the room and the name, None when it is nobody's."""
    txn.execute(_ALIAS, (alias,))
    row = txn.fetchone()
    if row is None:
        return None
    for sql in _END_ALIAS:
        txn.execute(sql, (alias,))
    return row[0], alias


def end_listing(txn: LoggingTransaction, room_id: str) -> tuple[str, str] | None:
    """Takes a room out of the directory; returns it and what it was, None when it is not in it."""
    txn.execute(_UNLIST, (room_id,))
    return (room_id, "listed") if txn.rowcount > 0 else None


def remove(api: ModuleApi, txn: LoggingTransaction, room_id: str) -> bool:
    """Removes a room with its events, members and aliases, as Synapse's own purge does.

    State groups, which nothing leads to any more, are left for Synapse's own tools.

    Returns:
        Whether there was such a room.
    """
    if not is_known(txn, room_id):
        return False
    for sql in _DROP_ALIASES:
        txn.execute(sql, (room_id,))
    api._store._purge_room_txn(txn, room_id)
    return True
