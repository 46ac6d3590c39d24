"""`MessagePurger`: the messages of all rooms, one room at a time."""

import logging
from typing import Final

import attr
from synapse.module_api import ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum.audit import AUDIT
from synapse_bum.database import Database, Lease
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION, keeping
from synapse_bum.homeserver import message_listing
from synapse_bum.homeserver.message_listing import RoomAge
from synapse_bum.homeserver.reactor import monotonic_ms
from synapse_bum.retention.classes import LARGE_CLASS, Backlog, Batch, Item, RetentionClass, Step
from synapse_bum.retention.messages import measuring, metrics
from synapse_bum.retention.messages.candidates import next_room
from synapse_bum.retention.messages.discovery import Reach, discover, end_rediscovery, read_reach
from synapse_bum.retention.messages.left_rooms import LeftRooms
from synapse_bum.retention.messages.purges import PURGES, forget_purges
from synapse_bum.retention.messages.room_purge import (
    Deleted,
    RoomIsBusyError,
    RoomIsHeldError,
    RoomPurger,
    RoomWork,
)
from synapse_bum.retention.messages.tables import MESSAGES
from synapse_bum.retention.tables import CLOCK_LAGS

logger = logging.getLogger(__name__)

BATCH_MS: Final = 1_000
"""After this time a batch ends, so that a run with many small rooms shows its progress too."""

_FIRST: Final = RoomAge("", -(2**62))


@attr.s(auto_attribs=True, slots=True)
class _Walk:
    """Where a run is among the rooms: each comes once, one that was busy a second time at the end."""

    run_id: str
    last: RoomAge = _FIRST
    busy: list[str] = attr.Factory(list)
    work: RoomWork | None = None
    last_left: str = ""


class MessagePurger:
    """Implements `retention.classes.Purger`.

    Attributes:
        failed_rooms: how many times a room's messages could not be deleted, since the start of this process.
    """

    def __init__(self, api: ModuleApi, database: Database, *, message_step: int) -> None:
        """Prepare; touches no database yet.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            message_step: messages in one transaction, at most.
        """
        for component in (AUDIT, DELETION, PURGES, MESSAGES, CLOCK_LAGS):
            database.add(component)
        self.failed_rooms = 0
        self._api = api
        self._database = database
        self._message_step = message_step
        self._rooms = RoomPurger(api, database, message_step)
        self._left_rooms = LeftRooms(api, database)
        self._reach: Reach | None = None
        self._walk = _Walk("")

    @property
    def retention_class(self) -> RetentionClass:
        """See `Purger`."""
        return RetentionClass.MESSAGES

    async def prepare(self, cutoff_ts: int, lease: Lease, *, thorough: bool) -> None:
        """See `Purger`."""
        now_ms = self._api.get_current_time_msec()
        self._reach = await discover(self._database, cutoff_ts, lease, now_ms, thorough=thorough)
        await self._database.run("synapse_bum_forget_purges", forget_purges, now_ms - keeping.LIFETIME_MS)
        await self._left_rooms.look_for(cutoff_ts, lease, now_ms, thorough=thorough)

    async def backlog(self, cutoff_ts: int) -> Backlog:
        """See `Purger`."""
        now_ms = self._api.get_current_time_msec()
        return await self._database.run("synapse_bum_message_backlog", measuring.measure, cutoff_ts, now_ms)

    async def sample(self, cutoff_ts: int) -> list[Item]:
        """See `Purger`."""
        now_ms = self._api.get_current_time_msec()
        return await self._database.run("synapse_bum_message_sample", measuring.sample, cutoff_ts, now_ms)

    async def is_large(self) -> bool:
        """See `Purger`."""
        return await self._database.run("synapse_bum_many_messages", message_listing.has_messages, LARGE_CLASS)

    async def purge(self, step: Step) -> Batch:
        """See `Purger`: a batch has several rooms, or some transactions of a large one."""
        failed_before = self.failed_rooms
        batch = await self._purge(step)
        return attr.evolve(batch, failed=self.failed_rooms - failed_before)

    async def _purge(self, step: Step) -> Batch:
        if self._walk.run_id != step.run_id:
            self._walk = _Walk(step.run_id)
            await self._rooms.release_state_groups()
        reach = await self._reach_of(step.cutoff_ts)
        began_ms = monotonic_ms(self._api)
        deleted = await self._rooms.settle(step)
        rooms: list[str] = []
        while step.lease.held and deleted.items < self._message_step and monotonic_ms(self._api) - began_ms < BATCH_MS:
            work = await self._next_work(step, reach)
            if work is None:
                return await self._remove_left_room(step, deleted, rooms)
            if work.room_id not in rooms:
                rooms.append(work.room_id)
            deleted += await self._advance(work, step)
        return _batch(deleted, rooms, more=True)

    async def _reach_of(self, cutoff_ts: int) -> Reach:
        if self._reach is None or self._reach.cutoff_ts != cutoff_ts:
            self._reach = await self._database.run("synapse_bum_message_reach", read_reach, cutoff_ts)
        return self._reach

    async def _next_work(self, step: Step, reach: Reach) -> RoomWork | None:
        walk = self._walk
        if walk.work is None:
            found = await self._database.run("synapse_bum_next_room", next_room, step.cutoff_ts, walk.last)
            if found is not None:
                walk.last, walk.work = found, RoomWork(found.room_id, reach.upto)
            elif walk.busy:
                walk.work = RoomWork(walk.busy.pop(), reach.upto, is_second_try=True)
        return walk.work

    async def _advance(self, work: RoomWork, step: Step) -> Deleted:
        deleted = Deleted()
        try:
            deleted = await self._rooms.advance(work, step)
        except CancelledError:
            raise
        except RoomIsHeldError as reason:
            logger.debug("Passed over room %s: %s", work.room_id, reason)
            work.is_done = True
        except RoomIsBusyError as error:
            if work.is_second_try:
                self._count_failure(
                    error, "The expired messages of room %s are only emptied, the next run purges them", work.room_id
                )
                work.from_below, work.stays_due = False, True
            else:
                self._walk.busy.append(work.room_id)
                work.is_done = True
        except Exception as error:  # noqa: BLE001 - other rooms must not suffer
            self._count_failure(
                error, "The expired messages of room %s could not be deleted, the next run tries again", work.room_id
            )
            work.is_done = True
        if work.is_done:
            self._walk.work = None
        return deleted

    async def _remove_left_room(self, step: Step, deleted: Deleted, rooms: list[str]) -> Batch:
        found = await self._left_rooms.next_room(step, self._walk.last_left)
        if found is None:
            await self._database.run("synapse_bum_rediscover_messages", end_rediscovery)
            return _batch(deleted, rooms, more=False)
        self._walk.last_left = found.room_id
        if found.go:
            rooms.append(found.room_id)
            try:
                await self._left_rooms.remove(step, found.room_id)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - other rooms must not suffer
                self._count_failure(
                    error,
                    "Room %s, which nobody here is in, could not be removed, the next run tries again",
                    found.room_id,
                )
        return _batch(deleted, rooms, more=True)

    def _count_failure(self, error: Exception, sentence: str, room_id: str) -> None:
        self.failed_rooms += 1
        metrics.FAILED_ROOMS.inc()
        logger.warning(f"{sentence}: %s", room_id, first_line(error))  # noqa: G004 - of two sentences


def _batch(deleted: Deleted, rooms: list[str], *, more: bool) -> Batch:
    where = None if not rooms else rooms[0] if len(rooms) == 1 else f"{len(rooms)} rooms"
    return Batch(deleted.items, deleted.size_bytes, more, where)
