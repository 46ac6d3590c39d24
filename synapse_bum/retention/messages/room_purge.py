"""Deleting the expired messages of one room, one short transaction at a time.

First from below, by Synapse's own purge, as far up as nothing has to stay. What is expired above that (the last
message, messages beside a branch that goes on, those around a held user's) is emptied where it stands, and remembered
so that it does not count again. Decision, check, deletion and journal are in one transaction with one snapshot.
"""

import logging
from collections.abc import Collection, Iterable
from functools import partial

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from twisted.internet.defer import CancelledError

from synapse_bum import audit
from synapse_bum.database import Database, Dialect
from synapse_bum.deletion.holds import held_rooms, held_users, list_holds
from synapse_bum.homeserver import event_expiry, message_listing, room_history, room_removal
from synapse_bum.homeserver.event_expiry import PendingRedaction
from synapse_bum.homeserver.message_listing import Message
from synapse_bum.homeserver.reactor import monotonic_ms
from synapse_bum.retention.classes import ACTOR, Step
from synapse_bum.retention.messages.candidates import finish_room
from synapse_bum.retention.messages.left_rooms import note_left_rooms
from synapse_bum.retention.messages.pace import Pace
from synapse_bum.retention.messages.purge_token import Limits, going_messages
from synapse_bum.retention.messages.purges import count_open, note_released, unreleased, write_purge
from synapse_bum.retention.messages.tables import EMPTIED

logger = logging.getLogger(__name__)

AUDIT_ACTION = "retention.purge"

SLOW_MS = {Dialect.SQLITE: 80, Dialect.POSTGRES: 1_000}
"""A purge that takes longer was too large. On SQLite everybody waits for it; on PostgreSQL who fetches the room's past,
while others wait for what its size leaves for the reactor."""

EMPTIED_AT_ONCE = 200
"""Messages that one transaction empties."""

_HOLDS = "synapse_bum_holds"
_ALL_HOLDS = 1_000_000
_REDACTION = "m.room.redaction"
_BEFORE_ALL = -(2**62)

_REMEMBER = (
    f"INSERT INTO {EMPTIED} (room_id, event_id, stream_ordering) VALUES (?, ?, ?)"  # noqa: S608
    " ON CONFLICT (room_id, event_id) DO UPDATE SET stream_ordering = excluded.stream_ordering"
)
_FORGET = f"DELETE FROM {EMPTIED} WHERE room_id = ? AND event_id = ?"  # noqa: S608


class RoomIsBusyError(Exception):
    """Somebody else purges the room, or fetches its past."""


class RoomIsHeldError(Exception):
    """A hold on the room is in force."""


@attr.s(auto_attribs=True, slots=True)
class RoomWork:
    """How far the work in a room has come.

    Attributes:
        room_id: of the room.
        upto: position of the stream up to which something may be expired.
        from_below: whether there may be more to purge; afterwards messages are emptied.
        position: of the last message that was looked at for emptying.
        is_second_try: whether the room was busy before; if it is again, all is emptied, which needs no lock.
        stays_due: whether the next run has to look at it in any case.
        is_done: whether nothing is left to do now.
    """

    room_id: str
    upto: int
    from_below: bool = True
    position: int = _BEFORE_ALL
    is_second_try: bool = False
    stays_due: bool = False
    is_done: bool = False


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Deleted:
    """Messages, and bytes of their JSON."""

    items: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(self.items + other.items, self.size_bytes + other.size_bytes)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Purged:
    messages: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Page:
    messages: list[Message]
    end: int | None
    pending: list[PendingRedaction]


class RoomPurger:
    """Does one step after the other in whichever room it is given."""

    def __init__(self, api: ModuleApi, database: Database, message_step: int) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with our tables.
            message_step: messages in one transaction, at most.
        """
        self._api = api
        self._database = database
        self._most = message_step
        self._pace = Pace(message_step, slow_ms=SLOW_MS[database.dialect])

    async def advance(self, work: RoomWork, step: Step) -> Deleted:
        """Delete some messages of a room.

        Args:
            work: brought up to date.
            step: of the run.

        Raises:
            RoomIsBusyError: not now.
            RoomIsHeldError: not while the hold lasts.
        """
        if work.from_below:
            return await self._purge(work, step)
        deleted = await self._empty(work, step)
        if work.is_done:
            await self._database.run("synapse_bum_finish_room", self._finish, work, step)
        return deleted

    async def settle(self, step: Step) -> Deleted:
        """Count purges in this run that no run has counted, also those that a crash cut off before."""
        return await self._database.run("synapse_bum_count_purges", self._count, step)

    async def release_state_groups(self) -> None:
        """Have state groups deleted that purges may have left without use.

        A failure is said and the rest tried with the next room: such groups name state events only, no messages.
        """
        while owed := await self._database.run("synapse_bum_released_groups", unreleased):
            try:
                await room_history.release_state_groups(self._api, frozenset().union(*owed.values()))
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the messages are gone, and others must not wait
                logger.warning("State groups of purged messages stay for now: %s", type(error).__name__)
                return
            await self._database.run("synapse_bum_released_groups", note_released, owed)

    async def _purge(self, work: RoomWork, step: Step) -> Deleted:
        purge = partial(self._purge_in, work, step)
        async with room_history.lock(self._api, work.room_id) as is_ours:
            if not is_ours:
                raise RoomIsBusyError("the room is busy: somebody else purges it or fetches its past")
            began_ms = monotonic_ms(self._api)
            outcome = await room_history.run_in_one_snapshot(
                self._api, "synapse_bum_purge_messages", purge, frozen=_HOLDS
            )
        if outcome is None:
            work.from_below = False
            await self.release_state_groups()
            return Deleted()
        if isinstance(outcome, _Purged):
            self._pace.learn(outcome.messages, monotonic_ms(self._api) - began_ms)
            return await self.settle(step)
        await self._carry_out(work, step, outcome)
        return Deleted()

    def _purge_in(self, work: RoomWork, step: Step, txn: LoggingTransaction) -> _Purged | list[PendingRedaction] | None:
        """One purge; None when nothing can go this way, redactions when these have to be carried out before."""
        planned_ts = self._api.get_current_time_msec()
        # The table is locked, so the lock of `holds_in_force`, which others may wait with, is not needed.
        in_force = {hold.target for hold in list_holds(txn, 0, _ALL_HOLDS)[0] if hold.is_in_force(step.now_ms)}
        if work.room_id in in_force:
            raise RoomIsHeldError("a hold on the room is in force")
        limit = self._pace.size
        lowest = message_listing.lowest_messages(txn, work.room_id, limit + 1, emptied=EMPTIED)
        if len(lowest) > limit and lowest[0].depth == lowest[-1].depth:
            limit = self._most
            lowest = message_listing.lowest_messages(txn, work.room_id, limit + 1, emptied=EMPTIED)
        pending = event_expiry.pending_redactions(txn, _redactions(lowest))
        # What hides a held message stays with it.
        kept = {redaction.event_id for redaction in pending if redaction.sender in in_force}
        decided = going_messages(
            lowest,
            is_complete=len(lowest) <= limit,
            keep=lambda message: (
                message.age_ts > step.cutoff_ts or message.sender in in_force or message.event_id in kept
            ),
            limits=Limits(room_history.pinned_depths(txn, work.room_id), self._pace.size, self._most),
        )
        if decided is None:
            return None
        depth, going = decided
        event_ids = [message.event_id for message in going]
        open_redactions = _left_open(pending, set(event_ids))
        if open_redactions:
            return open_redactions
        groups = room_history.purge_below(self._api, txn, work.room_id, depth, event_ids)
        txn.execute_batch(_FORGET, [(work.room_id, message.event_id) for message in going if message.is_emptied])
        new = [message for message in going if not message.is_emptied]
        if new or groups:
            write_purge(
                txn,
                work.room_id,
                events=len(new),
                size_bytes=sum(message.size_bytes for message in new),
                planned_ts=planned_ts,
                done_ts=self._api.get_current_time_msec(),
                run_id=step.run_id,
                state_groups=groups,
            )
        return _Purged(len(going))

    async def _empty(self, work: RoomWork, step: Step) -> Deleted:
        page = await self._database.run("synapse_bum_find_expired", self._page, work, step)
        if page.end is None:
            work.is_done = True
            return Deleted()
        if page.pending:
            await self._carry_out(work, step, page.pending)
        contents = await event_expiry.pruned(self._api, [message.event_id for message in page.messages])
        deleted = await self._database.run(
            "synapse_bum_empty_messages", self._empty_in, work, step, page.messages, contents
        )
        work.position = page.end
        return deleted

    async def _carry_out(self, work: RoomWork, step: Step, redactions: list[PendingRedaction]) -> None:
        contents = await event_expiry.redacted(self._api, [redaction.redacts for redaction in redactions])
        await self._database.run(
            "synapse_bum_carry_out_redactions", self._carry_out_in, work, step, redactions, contents
        )

    def _carry_out_in(
        self,
        txn: LoggingTransaction,
        work: RoomWork,
        step: Step,
        redactions: list[PendingRedaction],
        contents: dict[str, str],
    ) -> None:
        """A redaction whose target is held meanwhile is not carried out, so it stays too."""
        if work.room_id in held_rooms(txn, step.now_ms):
            raise RoomIsHeldError("a hold on the room is in force")
        users = held_users(txn, step.now_ms)
        free = [redaction for redaction in redactions if redaction.sender not in users]
        event_expiry.carry_out(self._api, txn, work.room_id, free, contents)

    @staticmethod
    def _page(txn: LoggingTransaction, work: RoomWork, step: Step) -> _Page:
        if work.room_id in held_rooms(txn, step.now_ms):
            raise RoomIsHeldError("a hold on the room is in force")
        found = message_listing.expired_messages(
            txn,
            work.room_id,
            work.position,
            work.upto,
            step.cutoff_ts,
            EMPTIED_AT_ONCE,
            emptied=EMPTIED,
            without_senders=held_users(txn, step.now_ms),
        )
        pending = event_expiry.pending_redactions(txn, _redactions(found))
        event_ids = {message.event_id for message in found}
        return _Page(found, found[-1].stream_ordering if found else None, _left_open(pending, event_ids))

    def _empty_in(
        self,
        txn: LoggingTransaction,
        work: RoomWork,
        step: Step,
        messages: list[Message],
        contents: dict[str, str],
    ) -> Deleted:
        if work.room_id in held_rooms(txn, step.now_ms):
            raise RoomIsHeldError("a hold on the room is in force")
        users = held_users(txn, step.now_ms)
        present = set(event_expiry.present_events(txn, list(contents)))
        free = {message.event_id for message in messages if message.event_id in present and message.sender not in users}
        hiding = _left_open(event_expiry.pending_redactions(txn, _redactions(messages)), free)
        free -= {redaction.event_id for redaction in hiding}
        # What could not go for another reason than a hold that `_finish` sees.
        work.stays_due = work.stays_due or bool(hiding)
        going = [message for message in messages if message.event_id in free]
        if not going:
            return Deleted()
        event_expiry.empty(
            self._api, txn, work.room_id, {message.event_id: contents[message.event_id] for message in going}
        )
        txn.execute_batch(_REMEMBER, [(work.room_id, message.event_id, message.stream_ordering) for message in going])
        deleted = Deleted(len(going), sum(message.size_bytes for message in going))
        now_ms = self._api.get_current_time_msec()
        write_purge(
            txn,
            work.room_id,
            events=deleted.items,
            size_bytes=deleted.size_bytes,
            planned_ts=now_ms,
            done_ts=now_ms,
            run_id=step.run_id,
            state_groups=None,
        )
        _record(txn, work.room_id, deleted, step)
        return deleted

    @staticmethod
    def _count(txn: LoggingTransaction, step: Step) -> Deleted:
        counted = Deleted()
        for purge in count_open(txn):
            if purge.events:
                found = Deleted(purge.events, purge.size_bytes)
                _record(txn, purge.room_id, found, step)
                counted += found
        return counted

    @staticmethod
    def _finish(txn: LoggingTransaction, work: RoomWork, step: Step) -> None:
        room_history.drop_staged(txn, work.room_id, step.cutoff_ts)
        users = held_users(txn, step.now_ms)
        if room_removal.is_abandoned(txn, work.room_id, step.cutoff_ts, emptied=EMPTIED, held_senders=users):
            note_left_rooms(txn, [work.room_id])
        if work.stays_due or (users and _is_anything_expired(txn, work, step)):
            # Stays due, so that it is looked at when the hold has ended.
            return
        finish_room(txn, work.room_id, message_listing.oldest_from_the_past(txn, work.room_id, emptied=EMPTIED))


def _redactions(messages: Iterable[Message]) -> list[str]:
    return [message.event_id for message in messages if message.event_type == _REDACTION]


def _left_open(redactions: Iterable[PendingRedaction], going: Collection[str]) -> list[PendingRedaction]:
    """Redactions that go without their target."""
    return [redaction for redaction in redactions if redaction.event_id in going and redaction.redacts not in going]


def _is_anything_expired(txn: LoggingTransaction, work: RoomWork, step: Step) -> bool:
    found = message_listing.expired_messages(
        txn, work.room_id, _BEFORE_ALL, work.upto, step.cutoff_ts, 1, emptied=EMPTIED, without_senders=()
    )
    return bool(found)


def _record(txn: LoggingTransaction, room_id: str, deleted: Deleted, step: Step) -> None:
    step.confirm(txn, deleted.items, deleted.size_bytes)
    new = {"kind": "messages", "items": deleted.items, "bytes": deleted.size_bytes, "run_id": step.run_id}
    audit.append(txn, audit.Entry(step.now_ms, ACTOR, AUDIT_ACTION, room_id, new=new))
