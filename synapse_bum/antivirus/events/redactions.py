"""Deleting the files of redacted events (`delete_on_redaction`).

One process does it, under a lease: it queues what Synapse has stored (`redaction_queue.py`) and works the queue off.
Synapse's own callback for new events is not used: it would read the state of the room for every event in every process,
and what comes while a process dies would be lost.

A redaction by a user of this server is stored only after Synapse has found that he may; one from another server may be
stored and never take effect. So only the former count, which is also the rule: nobody elsewhere deletes files here.
"""

import logging
from collections.abc import Mapping
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import deletion
from synapse_bum.antivirus.config import DeleteOnRedaction
from synapse_bum.antivirus.events import deferred_redactions, redaction_queue
from synapse_bum.antivirus.events.deferred_redactions import Deferred
from synapse_bum.antivirus.events.event_files import files_in_clear
from synapse_bum.antivirus.events.file_usage import FileUsage
from synapse_bum.antivirus.events.links import VouchedBy, vouched_files
from synapse_bum.antivirus.events.redaction_queue import Queued
from synapse_bum.antivirus.findings.exemptions import take_turn
from synapse_bum.antivirus.findings.finding import BLOCKED_STATES, get_finding
from synapse_bum.antivirus.findings.finding_deletion import Order, delete_file
from synapse_bum.antivirus.findings.records import complete_births
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.homeserver.events import EventFacts, is_joined, power_level, read_original
from synapse_bum.homeserver.redactions import Redaction

logger = logging.getLogger(__name__)

LEASE: Final = "antivirus.redactions"
LEASE_TTL_MS: Final = 60_000

TICK_MS: Final = 2_000
"""How soon after a redaction its files are looked at."""

BATCH: Final = 20
"""Redactions that are worked off in one turn."""

POLICY: Final = "antivirus:redaction"
"""In the journal of deletions: the event that carried the file was redacted."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Redactor:
    """Who has redacted an event.

    Attributes:
        user_id: his id; a user of this server.
        is_sender: whether it was his own event.
        is_room_admin: whether he administers the room.
    """

    user_id: str
    is_sender: bool
    is_room_admin: bool


def deletes(mode: DeleteOnRedaction, redactor: Redactor, vouched_by: VouchedBy, *, blocked: bool) -> bool:
    """Decide whether a redaction deletes a local file whose uploader is the sender of the event. Pure.

    Args:
        mode: as configured.
        redactor: who has redacted the event.
        vouched_by: who says that the event carries the file; the sender himself says so of what stands in clear.
        blocked: whether the file is blocked as infected.
    """
    if mode is DeleteOnRedaction.NONE:
        return False
    if mode is DeleteOnRedaction.BLOCKED and not blocked:
        return False
    if redactor.is_sender:
        return True
    if vouched_by is not VouchedBy.UPLOADER:
        return False
    return mode is DeleteOnRedaction.ALL or (redactor.is_room_admin and blocked)


class Redactions:
    """The duty of deleting the files of redacted events."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        *,
        mode: DeleteOnRedaction,
        delete_power: int,
        remover: deletion.FileRemover | None,
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the antivirus tables.
            leases: of this process.
            mode: whose redaction deletes.
            delete_power: power level that makes a room administrator.
            remover: of deleted files, where this process has the media volume.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._mode = mode
        self._delete_power = delete_power
        self._remover = remover
        self._usage = FileUsage(api, database)
        self._busy = False

    def start(self) -> None:
        """Have it done regularly; where it is switched off, have the next start with it begin anew."""
        if self._mode is DeleteOnRedaction.NONE:
            self._api.delayed_background_call(0, self._stop_following, desc="synapse_bum_antivirus_redactions")
            return
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_antivirus_redactions", run_on_all_instances=True
        )

    async def tick(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("Files of redacted events have to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _stop_following(self) -> None:
        try:
            await self._database.run("synapse_bum_antivirus_no_redactions", redaction_queue.stop_following)
        except Exception as error:  # noqa: BLE001 - a background duty: the next start tries again
            logger.warning("Redactions from before `delete_on_redaction: none` are still queued: %s", first_line(error))

    async def _turn(self, lease: Lease) -> None:
        now_ms = self._api.get_current_time_msec()
        await self._database.run(
            "synapse_bum_antivirus_follow_redactions", redaction_queue.follow, self._api.server_name, now_ms
        )
        for queued in await self._database.run(
            "synapse_bum_antivirus_due_redactions", redaction_queue.due, now_ms, BATCH
        ):
            if not lease.held:
                return
            await self._try_one(queued)
        for deferred in await self._database.run(
            "synapse_bum_antivirus_due_deferred", deferred_redactions.due, now_ms, BATCH
        ):
            if not lease.held:
                return
            await self._try_deferred(deferred)

    async def _try_one(self, queued: Queued) -> None:
        """Work one redaction off; whatever is wrong with it must not stop the others."""
        try:
            await self._work_off(queued.redaction)
        except Exception as error:  # noqa: BLE001 - nothing is deleted while a check can't be made
            logger.warning(
                "Files of the redacted event %s have to wait: %s", queued.redaction.redacts, first_line(error)
            )
            now_ms = self._api.get_current_time_msec()
            await self._database.run("synapse_bum_antivirus_redaction_later", redaction_queue.put_off, queued, now_ms)
            return
        await self._database.run(
            "synapse_bum_antivirus_redaction_done", redaction_queue.finish, queued.redaction.event_id
        )

    async def _try_deferred(self, deferred: Deferred) -> None:
        """Look at a file again that was on hold; whatever is wrong with it must not stop the others."""
        event = EventFacts(
            deferred.redacts, deferred.room_id, deferred.sender, "", {}, is_redacted=True, origin_server_ts=0
        )
        redactor = Redactor(deferred.redactor, deferred.redactor == deferred.sender, deferred.is_room_admin)
        try:
            if not await self._database.run("synapse_bum_antivirus_deferred_held", self._put_off_if_held, deferred):
                await self._delete(deferred.media_id, deferred.vouched_by, event, redactor)
        except Exception as error:  # noqa: BLE001 - nothing is deleted while a check can't be made
            logger.warning("The redacted file %s has to wait: %s", deferred.media_id, first_line(error))
            now_ms = self._api.get_current_time_msec()
            later = now_ms + deferred_redactions.ASK_AGAIN_MS
            await self._database.run(
                "synapse_bum_antivirus_deferred_later", deferred_redactions.defer, deferred, later, now_ms
            )

    def _put_off_if_held(self, txn: LoggingTransaction, deferred: Deferred) -> bool:
        """Leave a file that is still on hold for later, before its other uses are looked for, which is dear."""
        own_name, now_ms = self._api.server_name, self._api.get_current_time_msec()
        stored = media.stored_media(txn, own_name, deferred.media_id, own_name)
        if stored is None:
            return False
        hold = deletion.held_files(txn, [stored], now_ms, (deferred.room_id,)).get(stored)
        if hold is None:
            return False
        deferred_redactions.defer(txn, deferred, hold.until_ts, now_ms)
        return True

    async def _work_off(self, redaction: Redaction) -> None:
        event, by = (
            await read_original(self._api, redaction.redacts),
            await read_original(self._api, redaction.event_id),
        )
        if event is None or by is None or by.room_id != event.room_id or not event.is_redacted:
            return
        if not (self._api.is_mine(event.sender) and self._api.is_mine(by.sender)):
            return
        files = await self._local_files(event)
        if not files:
            return
        redactor = Redactor(by.sender, by.sender == event.sender, await self._is_room_admin(event.room_id, by.sender))
        for media_id, vouched_by in files.items():
            await self._delete(media_id, vouched_by, event, redactor)

    async def _local_files(self, event: EventFacts) -> Mapping[str, VouchedBy]:
        """The files of this server that an event carries, and whose word that is; the sender's own goes first."""
        files = await self._database.run("synapse_bum_antivirus_event_files", vouched_files, event.event_id)
        files.update(dict.fromkeys(files_in_clear(event.content), VouchedBy.UPLOADER))
        own_name = self._api.server_name
        return {media_id: word for (server_name, media_id), word in sorted(files.items()) if server_name == own_name}

    async def _is_room_admin(self, room_id: str, user_id: str) -> bool:
        if not await is_joined(self._api, room_id, user_id):
            return False
        return await power_level(self._api, room_id, user_id) >= self._delete_power

    async def _delete(self, media_id: str, vouched_by: VouchedBy, event: EventFacts, redactor: Redactor) -> None:
        if not await self._is_deferred(media_id, vouched_by, event, redactor):
            await self._database.run(
                "synapse_bum_antivirus_deferred_done", deferred_redactions.settle, media_id, event.event_id
            )

    async def _is_deferred(self, media_id: str, vouched_by: VouchedBy, event: EventFacts, redactor: Redactor) -> bool:
        """Delete a file if that is right now; whether it has to wait for the end of a hold."""
        about = media_id, vouched_by, event, redactor
        created_ts = await self._database.run("synapse_bum_antivirus_redacted_file", self._may_delete, *about)
        if created_ts is None:
            return False
        if await self._usage.is_used_elsewhere(
            media_id, event.sender, created_ts=created_ts, redacted_event=event.event_id
        ):
            logger.info("Not deleting the redacted file %s: its uploader still uses it", media_id)
            return False
        outcome = await self._database.run("synapse_bum_antivirus_delete_redacted", self._plan, *about)
        if isinstance(outcome, deletion.Planned):
            logger.info("Deleting %s: %s has redacted its event", outcome.deletion.mxc, redactor.user_id)
            if self._remover is not None:
                self._remover.kick()
        return isinstance(outcome, deletion.Held)

    def _may_delete(
        self, txn: LoggingTransaction, media_id: str, vouched_by: VouchedBy, event: EventFacts, redactor: Redactor
    ) -> int | None:
        """Whether a redaction deletes a file, by primary keys: when it was uploaded if so, in ms since the epoch."""
        own_name = self._api.server_name
        stored = media.stored_media(txn, own_name, media_id, own_name)
        if stored is None or stored.url_cache or stored.uploader != event.sender:
            return None
        finding = get_finding(txn, own_name, media_id)
        blocked = finding is not None and finding.state in BLOCKED_STATES
        if not deletes(self._mode, redactor, vouched_by, blocked=blocked):
            return None
        row = media_deletion.row_of(txn, stored)
        return None if row is None else row.created_ts

    def _plan(
        self, txn: LoggingTransaction, media_id: str, vouched_by: VouchedBy, event: EventFacts, redactor: Redactor
    ) -> deletion.Outcome | None:
        take_turn(txn)
        now_ms, own_name = self._api.get_current_time_msec(), self._api.server_name
        complete_births(txn, own_name, now_ms)
        # While other uses were looked for, an operator may have released it.
        stored = media.stored_media(txn, own_name, media_id, own_name)
        if stored is None or self._may_delete(txn, media_id, vouched_by, event, redactor) is None:
            return None
        order = Order(POLICY, redactor.user_id, f"redaction of {event.event_id}", now_ms)
        outcome = delete_file(txn, stored, get_finding(txn, own_name, media_id), order, rooms=(event.room_id,))
        if isinstance(outcome, deletion.Held):
            deferred = Deferred(
                media_id,
                event.event_id,
                event.room_id,
                event.sender,
                redactor.user_id,
                is_room_admin=redactor.is_room_admin,
                vouched_by=vouched_by,
            )
            deferred_redactions.defer(txn, deferred, outcome.hold.until_ts, now_ms)
            logger.info("The redacted file %s is deleted later: it is on hold", media_id)
        return outcome
