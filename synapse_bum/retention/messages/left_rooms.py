"""Rooms that all users of this server have left: once all in them is expired, they are removed as a whole.

A room is looked at when its last messages were deleted, and all rooms once a day. The removal is Synapse's own and has
its own transactions; the row here stays until the end, so that what a crash cuts off is done again.
"""

from collections.abc import Iterable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Lease
from synapse_bum.deletion.holds import held_rooms, held_users
from synapse_bum.homeserver import room_removal
from synapse_bum.retention.classes import ACTOR, Step
from synapse_bum.retention.messages import metrics
from synapse_bum.retention.messages.candidates import Mark, finish_room, read_mark, set_mark
from synapse_bum.retention.messages.discovery import DAY_MS
from synapse_bum.retention.messages.tables import EMPTIED

AUDIT_ACTION: Final = "retention.room.delete"
PAGE: Final = 1_000
"""Rooms that one transaction looks at."""

# By primary key, or along it.
_NOTE: Final = "INSERT INTO synapse_bum_retention_left_rooms (room_id) VALUES (?) ON CONFLICT (room_id) DO NOTHING"
_NEXT: Final = (
    "SELECT room_id, removing FROM synapse_bum_retention_left_rooms WHERE room_id > ? ORDER BY room_id LIMIT 1"
)
_BEGIN: Final = "UPDATE synapse_bum_retention_left_rooms SET removing = 1 WHERE room_id = ?"
_DROP: Final = "DELETE FROM synapse_bum_retention_left_rooms WHERE room_id = ?"
_DROP_EMPTIED: Final = f"DELETE FROM {EMPTIED} WHERE room_id = ?"  # noqa: S608


@attr.s(auto_attribs=True, frozen=True, slots=True)
class LeftRoom:
    """A room that may be removed; `go` says whether it is to be, now."""

    room_id: str
    go: bool


def note_left_rooms(txn: LoggingTransaction, rooms: Iterable[str]) -> None:
    """Note rooms that may be removed."""
    txn.execute_batch(_NOTE, [(room_id,) for room_id in rooms])


class LeftRooms:
    """Finds and removes such rooms."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database

    async def look_for(self, cutoff_ts: int, lease: Lease, now_ms: int, *, thorough: bool) -> None:
        """Look through all rooms, if that was not done within a day.

        Args:
            cutoff_ts: of the run.
            lease: ends the work when it is lost.
            now_ms: the present.
            thorough: whether to do it in any case.
        """
        last_ts = await self._database.run("synapse_bum_left_rooms", read_mark, Mark.LEFT_ROOMS_TS)
        if not thorough and last_ts is not None and last_ts <= now_ms < last_ts + DAY_MS:
            return
        after = ""
        while lease.held:
            after = await self._database.run("synapse_bum_left_rooms", self._page, after, cutoff_ts)
            if not after:
                await self._database.run("synapse_bum_left_rooms", set_mark, Mark.LEFT_ROOMS_TS, now_ms)
                return

    @staticmethod
    def _page(txn: LoggingTransaction, after: str, cutoff_ts: int) -> str:
        rooms, last = room_removal.rooms_that_locals_left(txn, after, PAGE, cutoff_ts)
        note_left_rooms(txn, rooms)
        return last

    async def next_room(self, step: Step, after: str) -> LeftRoom | None:
        """The next noted room behind another one; None behind the last."""
        return await self._database.run("synapse_bum_left_rooms", self._next, step, after)

    async def remove(self, step: Step, room_id: str) -> None:
        """Remove a room that `next_room` said is to go.

        Raises:
            Exception: Synapse could not; the next run tries.
        """
        await room_removal.remove_room(self._api, room_id)
        await self._database.run("synapse_bum_left_rooms", self._note_removed, step, room_id)

    @staticmethod
    def _next(txn: LoggingTransaction, step: Step, after: str) -> LeftRoom | None:
        rooms, users = held_rooms(txn, step.now_ms), held_users(txn, step.now_ms)
        txn.execute(_NEXT, (after,))
        row = txn.fetchone()
        if row is None:
            return None
        room_id, removing = row
        if room_id in rooms:
            return LeftRoom(room_id, go=False)
        was_cut_off = bool(removing) and not room_removal.is_there(txn, room_id)
        if was_cut_off or room_removal.is_abandoned(txn, room_id, step.cutoff_ts, emptied=EMPTIED, held_senders=users):
            txn.execute(_BEGIN, (room_id,))
            return LeftRoom(room_id, go=True)
        # Found again when its last messages are deleted, or by the daily look.
        txn.execute(_DROP, (room_id,))
        return LeftRoom(room_id, go=False)

    @staticmethod
    def _note_removed(txn: LoggingTransaction, step: Step, room_id: str) -> None:
        room_removal.drop_retention(txn, room_id)
        txn.execute(_DROP_EMPTIED, (room_id,))
        finish_room(txn, room_id, None)
        txn.execute(_DROP, (room_id,))
        new = {"run_id": step.run_id}
        audit.append(txn, audit.Entry(step.now_ms, ACTOR, AUDIT_ACTION, room_id, new=new))
        txn.call_after(metrics.REMOVED_ROOMS.inc)
