"""Rooms with messages to delete, and how far the discovery has come."""

from collections.abc import Iterable
from enum import Enum
from typing import Final

from synapse.module_api import LoggingTransaction

from synapse_bum.database import Cursor
from synapse_bum.homeserver.message_listing import RoomAge

# By primary key.
_NOTE: Final = (
    "INSERT INTO synapse_bum_retention_message_rooms (room_id, oldest_ts) VALUES (?, ?)"
    " ON CONFLICT (room_id) DO UPDATE SET oldest_ts = excluded.oldest_ts"
    " WHERE excluded.oldest_ts < synapse_bum_retention_message_rooms.oldest_ts"
)
_POSTPONE: Final = "UPDATE synapse_bum_retention_message_rooms SET oldest_ts = ? WHERE room_id = ?"
_DROP: Final = "DELETE FROM synapse_bum_retention_message_rooms WHERE room_id = ?"
_READ_MARK: Final = "SELECT value FROM synapse_bum_retention_message_marks WHERE name = ?"
_SET_MARK: Final = (
    "INSERT INTO synapse_bum_retention_message_marks (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
# A range of the index on (oldest_ts, room_id).
_NEXT: Final = (
    "SELECT room_id, oldest_ts FROM synapse_bum_retention_message_rooms"
    " WHERE oldest_ts <= ? AND (oldest_ts, room_id) > (?, ?) ORDER BY oldest_ts, room_id LIMIT 1"
)


class Mark(Enum):
    """What is remembered of the discovery."""

    FORWARD = "forward"
    """Up to this position of the stream every message that was expired is known or gone."""
    BACKWARD = "backward"
    """Down to this position every message from the past is known or gone."""
    REDISCOVERED_TS = "rediscovered_ts"
    """When the discovery began at the start the last time."""
    REDISCOVERING = "rediscovering"
    """What is left of that: see `discovery`."""
    LEFT_ROOMS_TS = "left_rooms_ts"
    """When rooms that all locals left were looked for the last time."""


def read_mark(txn: Cursor, mark: Mark) -> int | None:
    """A mark; None before it was set for the first time."""
    txn.execute(_READ_MARK, (mark.value,))
    row = txn.fetchone()
    return None if row is None else row[0]


def set_mark(txn: Cursor, mark: Mark, value: int) -> None:
    """Set a mark."""
    txn.execute(_SET_MARK, (mark.value, value))


def note_rooms(txn: LoggingTransaction, rooms: Iterable[RoomAge]) -> None:
    """Make rooms candidates; one that is a candidate already is due at the earlier of both times."""
    txn.execute_batch(_NOTE, [(room.room_id, room.oldest_ts) for room in rooms])


def next_room(txn: Cursor, cutoff_ts: int, after: RoomAge) -> RoomAge | None:
    """The next room that is due.

    Args:
        txn: a transaction.
        cutoff_ts: ms since the epoch.
        after: the last one, so that rooms that had to be passed over do not come again.
    """
    txn.execute(_NEXT, (cutoff_ts, after.oldest_ts, after.room_id))
    row = txn.fetchone()
    return None if row is None else RoomAge(*row)


def finish_room(txn: Cursor, room_id: str, next_ts: int | None) -> None:
    """Nothing of a room is due any more.

    Args:
        txn: a transaction.
        room_id: of the room.
        next_ts: when something will be: the age timestamp of the oldest message that is not found along the stream.
    """
    if next_ts is None:
        txn.execute(_DROP, (room_id,))
    else:
        txn.execute(_POSTPONE, (next_ts, room_id))
