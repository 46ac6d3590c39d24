"""What a restore leaves to be done once Synapse runs: in tables, so that it is done whatever crashes.

What is owed is closed already. See `tidying.py`, which does it.
"""

from typing import Final

import attr

from synapse_bum.database import Cursor

# Each by primary key.
_OWE_ACCOUNT: Final = (
    "INSERT INTO synapse_bum_recovery_tidying (user_id, erase) VALUES (?, ?)"
    " ON CONFLICT (user_id) DO UPDATE SET erase = excluded.erase"
)
_OWE_DEVICE: Final = (
    "INSERT INTO synapse_bum_recovery_devices (user_id, device_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
)
_OWE_MEMBERSHIP: Final = (
    "INSERT INTO synapse_bum_recovery_memberships (room_id, user_id, membership, set_by) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (room_id, user_id) DO UPDATE SET membership = excluded.membership, set_by = excluded.set_by"
)
_HOLD_ROOM: Final = "INSERT INTO synapse_bum_recovery_held_rooms (room_id) VALUES (?) ON CONFLICT DO NOTHING"
_KEEP_EVENT: Final = (
    "INSERT INTO synapse_bum_recovery_held_events (event_id, room_id, sender, json) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
# Whole tables: what one restore brought.
_ACCOUNTS: Final = "SELECT user_id, erase FROM synapse_bum_recovery_tidying ORDER BY user_id"
_DEVICES: Final = "SELECT user_id, device_id FROM synapse_bum_recovery_devices ORDER BY user_id, device_id"
_MEMBERSHIPS: Final = (
    "SELECT room_id, user_id, membership, set_by FROM synapse_bum_recovery_memberships ORDER BY room_id, user_id"
)
_HELD_ROOMS: Final = "SELECT room_id FROM synapse_bum_recovery_held_rooms ORDER BY room_id"
_KEPT_FOR: Final = "SELECT DISTINCT room_id, sender FROM synapse_bum_recovery_held_events"
# By primary key; the last one reads its table.
_ACCOUNT_DONE: Final = "DELETE FROM synapse_bum_recovery_tidying WHERE user_id = ?"
_DEVICE_DONE: Final = "DELETE FROM synapse_bum_recovery_devices WHERE user_id = ? AND device_id = ?"
_MEMBERSHIP_DONE: Final = "DELETE FROM synapse_bum_recovery_memberships WHERE room_id = ? AND user_id = ?"
_ROOM_DONE: Final = "DELETE FROM synapse_bum_recovery_held_rooms WHERE room_id = ?"
_DROP_EVENTS: Final = "DELETE FROM synapse_bum_recovery_held_events WHERE room_id = ? AND sender = ?"


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Membership:
    """One that ended after the backup.

    Attributes:
        room_id: of the room.
        user_id: of a user of this server.
        membership: `leave` or `ban`.
        set_by: user id of who has ended it.
    """

    room_id: str
    user_id: str
    membership: str
    set_by: str


def owe_account(txn: Cursor, user_id: str, *, erase: bool) -> None:
    """Has a deactivation finished."""
    txn.execute(_OWE_ACCOUNT, (user_id, int(erase)))


def owe_device(txn: Cursor, user_id: str, device_id: str) -> None:
    """Has everybody told that a device is gone."""
    txn.execute(_OWE_DEVICE, (user_id, device_id))


def owe_membership(txn: Cursor, membership: Membership) -> None:
    """Has somebody leave a room, or banned from it."""
    txn.execute(_OWE_MEMBERSHIP, attr.astuple(membership))


def owe_room(txn: Cursor, room_id: str) -> None:
    """Has a room deleted once nobody holds it any more."""
    txn.execute(_HOLD_ROOM, (room_id,))


def keep_event(txn: Cursor, event_id: str, room_id: str, sender: str, text: str) -> None:
    """Keeps an event as it was for as long as its room or sender is on hold."""
    txn.execute(_KEEP_EVENT, (event_id, room_id, sender, text))


def accounts(txn: Cursor) -> list[tuple[str, bool]]:
    """Whose deactivation is to be finished, and whether they are erased."""
    txn.execute(_ACCOUNTS)
    return [(user_id, bool(erase)) for user_id, erase in txn.fetchall()]


def devices(txn: Cursor) -> list[tuple[str, str]]:
    """User and id of devices that are gone."""
    txn.execute(_DEVICES)
    return [(user_id, device_id) for user_id, device_id in txn.fetchall()]


def memberships(txn: Cursor) -> list[Membership]:
    """Who has to leave which room."""
    txn.execute(_MEMBERSHIPS)
    return [Membership(*row) for row in txn.fetchall()]


def held_rooms(txn: Cursor) -> list[str]:
    """Rooms that are to be deleted and are, or were, on hold."""
    txn.execute(_HELD_ROOMS)
    return [room_id for (room_id,) in txn.fetchall()]


def kept_for(txn: Cursor) -> list[tuple[str, str]]:
    """Rooms and senders of events that are kept."""
    txn.execute(_KEPT_FOR)
    return [(room_id, sender) for room_id, sender in txn.fetchall()]


def account_done(txn: Cursor, user_id: str) -> None:
    """A deactivation is finished."""
    txn.execute(_ACCOUNT_DONE, (user_id,))


def device_done(txn: Cursor, user_id: str, device_id: str) -> None:
    """Everybody was told of a device."""
    txn.execute(_DEVICE_DONE, (user_id, device_id))


def membership_done(txn: Cursor, membership: Membership) -> None:
    """Somebody has left a room."""
    txn.execute(_MEMBERSHIP_DONE, (membership.room_id, membership.user_id))


def room_done(txn: Cursor, room_id: str) -> None:
    """A room is deleted."""
    txn.execute(_ROOM_DONE, (room_id,))


def drop_events(txn: Cursor, room_id: str, sender: str) -> None:
    """Drops events that were kept of a sender in a room."""
    txn.execute(_DROP_EVENTS, (room_id, sender))
