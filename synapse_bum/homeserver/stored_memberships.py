"""Who of this server is in which room, as it is stored, and hiding a room from a member before anybody is served.

SQL without caches: only for transactions before the listeners (`before_listeners`).

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `local_current_membership`,
`sliding_sync_membership_snapshots`, `current_state_events`, `room_memberships`, `events` in
`synapse/storage/schema/main`; `check_user_in_room` in `synapse/api/auth/base.py`, which lets nobody read on whom the
first table says to have left; `get_rooms_for_user`, which asks the column `membership` of the third for an incremental
sync and for notifications. Synapse makes a new state from the events that the third table names, not from that column.
"""

from typing import Final

from synapse.module_api import LoggingTransaction

NEWEST: Final = 20_000
"""So many memberships are looked at, the last that have changed: minutes of a busy server, years of a small one."""

OPEN: Final = frozenset({"join", "invite", "knock"})

# By the index on `event_stream_ordering` from its end, and for each of those that count by unique indexes. Who comes is
# told only where his going was.
RECENT: Final = (
    "SELECT m.room_id || ' ' || m.user_id AS key, m.membership || ' '"  # noqa: S608 - our own text
    " || coalesce((SELECT e.sender FROM events AS e WHERE e.event_id = m.event_id), m.user_id) AS state FROM ("
    "SELECT room_id, user_id, event_id, membership FROM local_current_membership WHERE event_stream_ordering > 0"
    f" ORDER BY event_stream_ordering DESC LIMIT {NEWEST}) AS m WHERE m.membership IN ('leave', 'ban')"
    " OR EXISTS (SELECT 1 FROM synapse_bum_recovery_seen AS t WHERE t.source = 'memberships'"
    " AND t.key = m.room_id || ' ' || m.user_id)"
)

# By the unique index on `(user_id, room_id)`.
_READ: Final = "SELECT membership FROM local_current_membership WHERE user_id = ? AND room_id = ?"
_HIDE: Final = (
    "UPDATE local_current_membership SET membership = 'leave' WHERE user_id = ? AND room_id = ?",
    (
        "UPDATE sliding_sync_membership_snapshots SET membership = 'leave', sender = user_id"
        " WHERE user_id = ? AND room_id = ?"
    ),
    (
        "UPDATE current_state_events SET membership = 'leave'"
        " WHERE type = 'm.room.member' AND state_key = ? AND room_id = ?"
    ),
)
# By the index on `room_id`.
_MEMBERS: Final = (
    "SELECT user_id FROM local_current_membership WHERE room_id = ? AND membership IN ('join', 'invite', 'knock')"
    " ORDER BY user_id"
)
# By the unique indexes on `(room_id, type, state_key)` and `event_id`. What the event says, also of who is hidden.
_IN_STATE: Final = (
    "SELECT m.membership FROM current_state_events AS c JOIN room_memberships AS m ON m.event_id = c.event_id"
    " WHERE c.room_id = ? AND c.type = 'm.room.member' AND c.state_key = ?"
)


def membership_of(txn: LoggingTransaction, room_id: str, user_id: str) -> str | None:
    """What a user of this server is in a room; None when he never was anything."""
    txn.execute(_READ, (user_id, room_id))
    row = txn.fetchone()
    return None if row is None else str(row[0])


def hide_room(txn: LoggingTransaction, room_id: str, user_id: str) -> None:
    """Has a member read no further: no sync shows him the room. The event that made him a member is in force still."""
    for sql in _HIDE:
        txn.execute(sql, (user_id, room_id))


def members_here(txn: LoggingTransaction, room_id: str) -> list[str]:
    """Users of this server who are in a room, or may come in."""
    txn.execute(_MEMBERS, (room_id,))
    return [user_id for (user_id,) in txn.fetchall()]


def is_member_in_state(txn: LoggingTransaction, room_id: str, user_id: str) -> bool:
    """Whether the room's state, or an invitation from afar, has a user as one who is in or may come in."""
    txn.execute(_IN_STATE, (room_id, user_id))
    row = txn.fetchone()
    return (membership_of(txn, room_id, user_id) if row is None else row[0]) in OPEN
