"""The duty that removes the bytes of hidden files, and then their rows.

One process does it, under a lease, and it needs the media volume. Each file goes through all its steps again after a
crash: every step takes what is gone already as done, and every step forward in the journal is a compare-and-set.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.deletion import journal, metrics
from synapse_bum.deletion.folders import is_media_store
from synapse_bum.deletion.journal import After, Deletion, DeletionState
from synapse_bum.deletion.places import Fault, Place, all_places
from synapse_bum.deletion.tables import DELETION
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.homeserver.media_deletion import MediaPaths, Thumbnail
from synapse_bum.homeserver.shared_objects import shared_object

logger = logging.getLogger(__name__)

LEASE: Final = "deletion.files"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 1_000

BATCH: Final = 50
"""Files that are worked on together: one thread and a few transactions for all of them."""

YOUNG_MS: Final = 86_400_000
"""Younger files may have been uploaded just now: their ids may be reserved a day before (`unused_expiration_time`)."""

SETTLE_MS: Final = 30_000
"""So long Synapse may go on to store copies and thumbnails of a new upload: it is looked at once more after that."""

FIRST_RETRY_MS: Final = 10_000
LAST_RETRY_MS: Final = 3_600_000

_NOT_REMOVED: Final = (
    "%s is deleted and hidden from everybody, but not removed: %s. It is tried again; the same fault of other files is"
    " not logged, see the metric synapse_bum_deletions_failing"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Job:
    """One file to remove, with the thumbnails that Synapse had rows of when the work began."""

    deletion: Deletion
    thumbnails: frozenset[Thumbnail]


def retry_after_ms(attempts: int) -> int:
    """How long to wait after a failure: ten seconds at first, an hour in the end.

    Args:
        attempts: that have failed before this one.
    """
    return min(FIRST_RETRY_MS << min(attempts, 20), LAST_RETRY_MS)


def settles_at(deletion: Deletion) -> int:
    """From when on Synapse no longer stores anything of this file by itself; ms since the epoch."""
    young = deletion.planned_ts - deletion.created_ts < YOUNG_MS
    return deletion.planned_ts + (SETTLE_MS if young else 0)


def file_remover(api: ModuleApi, database: Database) -> "FileRemover | None":
    """This homeserver's remover, shared by all modules; to be called in the `__init__` of every module that deletes.

    Args:
        api: of the homeserver.
        database: the tables of deletions are added to its components.

    Returns:
        The remover; None in a process without the media volume, whose deletions are removed by the one that has it.
    """
    database.add(DELETION)
    if not media.can_load_media(api):
        return None
    return shared_object(api, FileRemover, lambda: FileRemover(api, database))


class FileRemover:
    """Removes what `plan` has hidden."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        self._busy = False
        self._said: set[tuple[str, str]] = set()
        api.looping_background_call(self.tick, TICK_MS, desc="synapse_bum_deletion", run_on_all_instances=True)

    def kick(self) -> None:
        """Have it look now; to be called after the commit of a `plan`, for example by `txn.call_after`."""
        self._api.delayed_background_call(0, self.tick, desc="synapse_bum_deletion_kick")

    async def tick(self) -> None:
        """Do one turn, unless nothing is due, the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._turn_if_due()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The removal of deleted files has to wait: %s", error)
        finally:
            self._busy = False

    async def _turn_if_due(self) -> None:
        now_ms = self._api.get_current_time_msec()
        if not await self._database.run("synapse_bum_deletion_any_due", journal.any_due, now_ms):
            return
        store = media_deletion.media_store(self._api)
        if store is not None and not await self._api.defer_to_thread(is_media_store, store):
            self._say_once(
                ("media_store_path", ""),
                "The folder of `media_store_path` has none of Synapse's media folders: this process seems to be without"
                " the media volume and removes no files. Set `enable_media_repo: false` for it, or mount the volume",
            )
            return
        outcome = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        if outcome is not Outcome.DONE:
            metrics.count_is_unknown()

    async def _turn(self, lease: Lease) -> None:
        places = all_places(self._api)
        while lease.held:
            now_ms = self._api.get_current_time_msec()
            jobs = await self._database.run("synapse_bum_deletion_next", next_jobs, now_ms)
            if not jobs:
                break
            await self._remove(jobs, places, lease)
        pending, failing = await self._database.run("synapse_bum_deletion_count", journal.count_open)
        metrics.PENDING.set(pending)
        metrics.FAILING.set(failing)
        if not failing:
            self._said.clear()

    async def _remove(self, jobs: Sequence[Job], places: Sequence[Place], lease: Lease) -> None:
        failed = await self._remove_bytes(jobs, places, lambda: lease.held)
        if not lease.held:
            return
        now_ms = self._api.get_current_time_msec()
        if failed:
            await self._database.run("synapse_bum_deletion_put_off", put_off_failed, failed, now_ms)
            for deletion, fault in failed.items():
                self._say_once((fault.place, fault.kind), _NOT_REMOVED, deletion.mxc, fault)
        gone = [job for job in jobs if job.deletion not in failed]
        await self._database.run("synapse_bum_deletion_unlinked", note_unlinked, gone, now_ms)
        dropped = await self._database.run("synapse_bum_deletion_dropped", drop_unlinked, gone, now_ms)
        for deletion in dropped:
            labels = deletion.kind.value, deletion.policy
            metrics.FILES.labels(*labels).inc()
            metrics.BYTES.labels(*labels).inc(deletion.size_bytes + deletion.thumbnail_bytes)
            logger.info(
                "Removed %s, %d bytes (%s)",
                deletion.mxc,
                deletion.size_bytes,
                deletion.policy,
                extra={"target": deletion.mxc, "size_bytes": deletion.size_bytes, "policy": deletion.policy},
            )

    async def _remove_bytes(
        self, jobs: Sequence[Job], places: Sequence[Place], go_on: Callable[[], bool]
    ) -> Mapping[Deletion, Fault]:
        """Remove the files from every place; returns those that may still be somewhere, and why."""
        failed: dict[Deletion, Fault] = {}
        batch: list[tuple[Deletion, MediaPaths]] = []
        for job in jobs:
            try:
                batch.append((job.deletion, media_deletion.paths_of(self._api, job.deletion.media, job.thumbnails)))
            except ValueError as error:
                failed[job.deletion] = Fault.of("its name", error)
        for place in places:
            faults = await place.remove([paths for _, paths in batch], go_on)
            for (deletion, _), fault in zip(batch, faults, strict=True):
                if fault is not None:
                    failed.setdefault(deletion, fault)
        return failed

    def _say_once(self, subject: tuple[str, str], message: str, *args: object) -> None:
        """Log a warning once for each subject, until all that failed is done."""
        if subject not in self._said:
            self._said.add(subject)
            logger.warning(message, *args)


def next_jobs(txn: LoggingTransaction, now_ms: int) -> list[Job]:
    """Reads what is due, and hides again what a moderator may have released meanwhile."""
    jobs = []
    for deletion in journal.due(txn, now_ms, BATCH):
        media_deletion.hide(txn, deletion.media)
        jobs.append(Job(deletion, media_deletion.thumbnails_of(txn, deletion.media)))
    return jobs


def put_off_failed(txn: LoggingTransaction, failed: Mapping[Deletion, Fault], now_ms: int) -> None:
    """Writes down why files could not be removed, and when to try again."""
    for deletion, fault in failed.items():
        journal.put_off(txn, deletion.id, now_ms + retry_after_ms(deletion.attempts), str(fault))


def note_unlinked(txn: LoggingTransaction, gone: Sequence[Job], now_ms: int) -> None:
    """Writes down that no bytes are left; files too young for that are looked at again."""
    for job in gone:
        if now_ms < settles_at(job.deletion):
            journal.put_off(txn, job.deletion.id, settles_at(job.deletion), None)
        else:
            journal.advance(txn, job.deletion.id, DeletionState.UNLINKED)


def drop_unlinked(txn: LoggingTransaction, gone: Sequence[Job], now_ms: int) -> list[Deletion]:
    """Removes the rows of files whose bytes are gone, and ends their deletions.

    Returns:
        Those that were ended here: not the ones that have to settle, got another thumbnail meanwhile, or that another
        process has ended.
    """
    ended = []
    for job in gone:
        deletion = job.deletion
        if media_deletion.thumbnails_of(txn, deletion.media) - job.thumbnails:
            journal.advance(txn, deletion.id, DeletionState.HIDDEN)
        elif journal.finish(txn, deletion.id, now_ms):
            if deletion.after is After.TOMBSTONE:
                media_deletion.leave_tombstone(txn, deletion.media)
            else:
                media_deletion.drop_rows(txn, deletion.media)
            ended.append(deletion)
    return ended
