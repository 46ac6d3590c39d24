"""Rooms that nobody of this server is in any more, and removing all of one.

Run on Synapse 1.133.0 and 1.163.2: `synapse/handlers/pagination.py` (`PaginationHandler.purge_room`, which takes the
locks that keep events out and refuses while a local user is joined), tables `rooms`, `local_current_membership` (index
on room_id), `events` (`events_room_stream`), `room_retention` (primary key begins with room_id), which Synapse leaves
behind.
"""

from collections.abc import Collection
from typing import Final

from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.message_age import AGE_TS, IS_MESSAGE
from synapse_bum.homeserver.message_listing import IS_EMPTIED
from synapse_bum.homeserver.sql_lists import marks

_NOBODY: Final = (
    "NOT EXISTS (SELECT 1 FROM local_current_membership AS m WHERE m.room_id = r.room_id"
    " AND m.membership IN ('join', 'invite', 'knock'))"
)


def rooms_that_locals_left(txn: LoggingTransaction, after: str, limit: int, cutoff_ts: int) -> tuple[list[str], str]:
    """A page of all rooms, and which of them nobody here is in and whose newest event is as old as that.

    Along the primary key of `rooms`, one lookup of memberships for each, and one of the newest event for those left.

    Args:
        txn: a transaction.
        after: room id after which to begin.
        limit: rooms in the page.
        cutoff_ts: ms since the epoch.

    Returns:
        The rooms, which `is_abandoned` has to confirm, and the last room id of the page; empty behind the last page.
    """
    txn.execute("SELECT room_id FROM rooms WHERE room_id > ? ORDER BY room_id LIMIT ?", (after, limit))
    page = [room_id for (room_id,) in txn.fetchall()]
    if not page:
        return [], ""
    txn.execute(
        f"SELECT r.room_id FROM rooms AS r WHERE r.room_id > ? AND r.room_id <= ? AND {_NOBODY}"  # noqa: S608
        f" AND (SELECT {AGE_TS} FROM events AS e WHERE e.room_id = r.room_id ORDER BY e.stream_ordering DESC LIMIT 1)"
        " <= ?",
        (after, page[-1], cutoff_ts),
    )
    return [room_id for (room_id,) in txn.fetchall()], page[-1]


def is_abandoned(
    txn: LoggingTransaction, room_id: str, cutoff_ts: int, *, emptied: str, held_senders: Collection[str]
) -> bool:
    """Whether a room can go: nobody here is in it, all its events are expired, and no message has its content left.

    A room without any event is just being made. Reads the room's events.

    Args:
        txn: a transaction.
        room_id: of the room.
        cutoff_ts: ms since the epoch.
        emptied: name of the table (room_id, event_id, stream_ordering) with the messages that have no content any more.
        held_senders: whose events have to stay; few.
    """
    held = f" OR e.sender IN ({marks(len(held_senders))})" if held_senders else ""
    txn.execute(
        f"SELECT 1 FROM rooms AS r WHERE r.room_id = ? AND {_NOBODY}"  # noqa: S608
        " AND EXISTS (SELECT 1 FROM events AS e WHERE e.room_id = r.room_id)"
        f" AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.room_id = r.room_id AND ({AGE_TS} > ?{held}"
        f" OR ({IS_MESSAGE} AND NOT EXISTS (SELECT 1 FROM {emptied} AS x WHERE {IS_EMPTIED}))))",
        (room_id, cutoff_ts, *held_senders),
    )
    return txn.fetchone() is not None


def is_there(txn: LoggingTransaction, room_id: str) -> bool:
    """Whether Synapse knows a room; by primary key."""
    txn.execute("SELECT 1 FROM rooms WHERE room_id = ?", (room_id,))
    return txn.fetchone() is not None


async def remove_room(api: ModuleApi, room_id: str) -> None:
    """Remove all of a room by Synapse's own means; one that is gone already is no error.

    One transaction of Synapse's, that takes the longer the more members the room had; nobody here is in it to wait.

    Raises:
        SynapseError: a local user has joined meanwhile; nothing was removed.
    """
    await api._hs.get_pagination_handler().purge_room(room_id, force=False)


def drop_retention(txn: LoggingTransaction, room_id: str) -> None:
    """Drop the rows of the room's own retention policies, which Synapse leaves behind."""
    txn.execute("DELETE FROM room_retention WHERE room_id = ?", (room_id,))
