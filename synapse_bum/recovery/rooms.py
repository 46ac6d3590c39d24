"""Rooms: blocked ones, and those that were deleted after the backup."""

from collections.abc import Sequence
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.after_restore import LATER_MS, SOON_MS, Done, Logged, State
from synapse_bum.database import Component
from synapse_bum.deletion import DELETION
from synapse_bum.deletion.holds import holds_over
from synapse_bum.homeserver import stored_memberships, stored_rooms
from synapse_bum.recovery import owed
from synapse_bum.recovery.owed import Membership
from synapse_bum.recovery.tables import RECOVERY

_ACTOR: Final = "system:recovery"


class BlockedRooms:
    """The source of rooms that nobody may join; blocked and opened again, the last word counts."""

    name = "rooms.blocked"
    every_ms = SOON_MS
    summary = None
    tells_only_ends = False
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = ()
    live = stored_rooms.BLOCKED

    def state_of(self, state: str) -> State:
        """What stands in the log for a blocked room. Pure."""
        return {"by": state}

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Blocks rooms again that a backup has opened."""
        done: list[Done] = []
        for each in logged:
            if each.state is None:
                if stored_rooms.unblock(txn, each.key):
                    done.append(Done("recovery.room_unblocked", each.key, "blocked", None))
            elif stored_rooms.block(txn, each.key, str(each.state.get("by", ""))):
                done.append(Done("recovery.room_blocked", each.key, None, "blocked"))
        return done


class DeletedRooms:
    """The source of rooms that are there: one that was deleted is deleted again, before anybody can read it.

    One with many events takes its time, and the start waits for it. One that is on hold is blocked instead, and hidden
    from its members; it goes when the hold ends. To be registered behind `Holds`.
    """

    name = "rooms"
    every_ms = LATER_MS
    summary = None
    tells_only_ends = True
    tells_ends = True
    ends_unknown = False
    components: Sequence[Component] = (DELETION, RECOVERY)
    live = stored_rooms.KNOWN

    def __init__(self, api: ModuleApi) -> None:
        self._api = api

    def state_of(self, state: str) -> State:  # noqa: ARG002 - of `Source`: it is never told
        """Nothing: only ends are told."""
        return None

    def close_again(self, txn: LoggingTransaction, logged: Sequence[Logged]) -> list[Done]:
        """Deletes rooms again; one that came again has its last word said by what there is."""
        done: list[Done] = []
        for each in logged:
            if each.state is not None or not stored_rooms.is_known(txn, each.key):
                continue
            holds = holds_over(txn, each.key, self._api.get_current_time_msec())
            if holds:
                self._hide(txn, each.key)
                done.append(Done("recovery.held", each.key, "there", f"blocked; on hold until {holds[0].until_ts}"))
            elif stored_rooms.remove(self._api, txn, each.key):
                done.append(Done("recovery.room_deleted", each.key, "there", None))
        return done

    def _hide(self, txn: LoggingTransaction, room_id: str) -> None:
        stored_rooms.block(txn, room_id, _ACTOR)
        for user_id in stored_memberships.members_here(txn, room_id):
            if stored_memberships.membership_of(txn, room_id, user_id) == "join":
                stored_memberships.hide_room(txn, room_id, user_id)
            owed.owe_membership(txn, Membership(room_id, user_id, "leave", user_id))
        owed.owe_room(txn, room_id)
