"""Who left a room after the backup, or was removed from it: he reads no further, and leaves it again.

What a room's state says is changed by events only, so Synapse's own handler does that once it runs (`tidying.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from synapse.module_api import LoggingTransaction

from synapse_bum.after_restore import LATER_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.homeserver import stored_memberships, stored_rooms
from synapse_bum.recovery import owed
from synapse_bum.recovery.owed import Membership
from synapse_bum.recovery.tables import RECOVERY


class Memberships:
    """The source of users of this server who have left rooms; to be registered behind `DeletedRooms`."""

    name = "memberships"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = False
    # What has left the window of what is looked at is as it was.
    tells_ends = False
    ends_unknown = False
    components: Sequence[Component] = (RECOVERY,)
    live = stored_memberships.RECENT

    def state_of(self, state: str) -> State:
        """What stands in the log for somebody in a room. Pure."""
        membership, _, sender = state.partition(" ")
        return {"is": membership, "by": sender}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Hides rooms from who has left them, and has them left again."""
        done: list[Done] = []
        for each in logged:
            room_id, _, user_id = each.key.partition(" ")
            before = stored_memberships.membership_of(txn, room_id, user_id)
            owes = None if each.state is None else to_do(before, each.state)
            if owes is None or each.state is None or not stored_rooms.is_known(txn, room_id):
                continue
            if before == "join":
                stored_memberships.hide_room(txn, room_id, user_id)
            owed.owe_membership(txn, Membership(room_id, user_id, owes, str(each.state.get("by", user_id))))
            done.append(Done("recovery.membership", user_id, f"{before} in {room_id}", owes))
        return done


def to_do(before: str | None, state: Mapping[str, Any]) -> str | None:
    """Decide what becomes of somebody: `leave`, `ban`, or None when all is as it was. Pure.

    Args:
        before: what the backup has him be in the room; None for nothing.
        state: the log's last word.
    """
    wanted = state.get("is")
    if wanted == "ban":
        return None if before == "ban" else "ban"
    return "leave" if wanted == "leave" and before in stored_memberships.OPEN else None
