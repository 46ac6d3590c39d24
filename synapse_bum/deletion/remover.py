"""The duty that removes the bytes of hidden files, and then their rows.

One process does it, under a lease, and it needs the media volume. Each file goes through all its steps again after a
crash: every step takes what is gone already as done, and every step forward in the journal is a compare-and-set.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, Final, TypeVar

import attr
from synapse.module_api import LoggingTransaction, ModuleApi
from typing_extensions import ParamSpec

from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import journal, metrics, tally
from synapse_bum.deletion.folders import is_media_store
from synapse_bum.deletion.holds_watch import HoldsWatch
from synapse_bum.deletion.journal import After, Deletion, DeletionState
from synapse_bum.deletion.keeping import JournalKeeper
from synapse_bum.deletion.pace import Pace
from synapse_bum.deletion.places import BUDGET_S, Fault, Place, all_places
from synapse_bum.deletion.tables import DELETION
from synapse_bum.homeserver import media, media_deletion
from synapse_bum.homeserver.media_deletion import MediaPaths, Thumbnail
from synapse_bum.homeserver.reactor import monotonic_ms
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.homeserver.stored_bytes import name_of

logger = logging.getLogger(__name__)

LEASE: Final = "deletion.files"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 1_000

COUNT_MS: Final = 15_000
"""How often open deletions are counted while there is much to do: that reads all of them."""

YOUNG_MS: Final = 86_400_000
"""Younger files may have been uploaded just now: their ids may be reserved a day before (`unused_expiration_time`)."""

SETTLE_MS: Final = 30_000
"""So long Synapse may go on to store copies and thumbnails of a new upload: it is looked at once more after that."""

FIRST_RETRY_MS: Final = 10_000
LAST_RETRY_MS: Final = 3_600_000

P = ParamSpec("P")
R = TypeVar("R")

_NOT_REMOVED: Final = (
    "%s is deleted and hidden from everybody, but not removed: %s. It is tried again; the same fault of other files is"
    " not logged, see the metric synapse_bum_deletions_failing"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Job:
    """One file to remove.

    Attributes:
        deletion: of it.
        thumbnails: that Synapse had rows of when the work began.
        may_have_more: whether there may be others at its places, see `MediaPaths`.
    """

    deletion: Deletion
    thumbnails: frozenset[Thumbnail]
    may_have_more: bool = True


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
    shared_object(api, JournalKeeper, lambda: JournalKeeper(api, database))
    shared_object(api, HoldsWatch, lambda: HoldsWatch(api, database))
    return shared_object(api, FileRemover, lambda: FileRemover(api, database))


class FileRemover:
    """Removes what `plan` has hidden."""

    def __init__(self, api: ModuleApi, database: Database) -> None:
        self._api = api
        self._database = database
        self._leases = Leases(api, database)
        self._busy = False
        self._places: Sequence[Place] | None = None
        self._pace = Pace()
        self._counted_ms = 0
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
            logger.warning("The removal of deleted files has to wait: %s", first_line(error))
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
        if self._places is None:
            self._places = all_places(self._api)
        while lease.held:
            now_ms = self._api.get_current_time_msec()
            jobs = await self._timed("synapse_bum_deletion_next", next_jobs, now_ms, self._pace.files)
            if not jobs:
                break
            await self._remove(jobs, self._places, lease)
            if self._api.get_current_time_msec() - self._counted_ms >= COUNT_MS:
                await self._count()
        await self._count()

    async def _count(self) -> None:
        # Only reads: on SQLite without the lock that a transaction of ours takes.
        pending, failing = await self._api.run_db_interaction("synapse_bum_deletion_count", journal.count_open)
        metrics.PENDING.set(pending)
        metrics.FAILING.set(failing)
        self._counted_ms = self._api.get_current_time_msec()
        if not failing:
            self._said.clear()

    async def _remove(self, jobs: Sequence[Job], places: Sequence[Place], lease: Lease) -> None:
        failed = await self._remove_bytes(jobs, places, lease)
        if not lease.held:
            return
        now_ms = self._api.get_current_time_msec()
        if failed:
            faults = [(job.deletion, failed[job.deletion.id]) for job in jobs if job.deletion.id in failed]
            await self._timed("synapse_bum_deletion_put_off", put_off_failed, faults, now_ms)
            for deletion, fault in faults:
                self._say_once((fault.place, fault.kind), _NOT_REMOVED, deletion.mxc, fault)
        gone = [job for job in jobs if job.deletion.id not in failed]
        await self._timed("synapse_bum_deletion_unlinked", note_unlinked, gone, now_ms)
        dropped = await self._timed("synapse_bum_deletion_dropped", drop_unlinked, gone, now_ms)
        self._pace.end_batch(all_reached=all(fault.tried for fault in failed.values()))
        say_removed(dropped)

    async def _timed(
        self, desc: str, func: Callable[Concatenate[LoggingTransaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """A transaction whose length sets the pace."""
        begun = monotonic_ms(self._api)
        result = await self._database.run(desc, func, *args, **kwargs)
        self._pace.took(monotonic_ms(self._api) - begun)
        return result

    async def _remove_bytes(self, jobs: Sequence[Job], places: Sequence[Place], lease: Lease) -> Mapping[int, Fault]:
        """Remove the files from every place; returns why some may still be somewhere, by the ids of their deletions."""
        failed: dict[int, Fault] = {}
        batch: list[tuple[int, MediaPaths]] = []
        for job, paths in await self._api.defer_to_thread(self._paths_of, jobs):
            if isinstance(paths, Fault):
                failed[job.deletion.id] = paths
            else:
                batch.append((job.deletion.id, paths))
        for place in places:
            faults = await place.remove([paths for _, paths in batch], self._budget(lease))
            for (deletion_id, _), fault in zip(batch, faults, strict=True):
                if fault is not None:
                    failed.setdefault(deletion_id, fault)
        return failed

    def _budget(self, lease: Lease) -> Callable[[], bool]:
        deadline = monotonic_ms(self._api) + BUDGET_S * 1000
        return lambda: lease.held and monotonic_ms(self._api) < deadline

    def _paths_of(self, jobs: Sequence[Job]) -> list[tuple[Job, MediaPaths | Fault]]:
        found: list[tuple[Job, MediaPaths | Fault]] = []
        for job in jobs:
            try:
                paths = media_deletion.paths_of(
                    self._api, job.deletion.media, job.thumbnails, may_have_more=job.may_have_more
                )
            except ValueError as error:
                found.append((job, Fault.of("its name", error)))
            else:
                found.append((job, paths))
        return found

    def _say_once(self, subject: tuple[str, str], message: str, *args: object) -> None:
        """Log a warning once for each subject, until all that failed is done."""
        if subject not in self._said:
            self._said.add(subject)
            logger.warning(message, *args)


def say_removed(deletions: Sequence[Deletion]) -> None:
    """Counts files of which nothing is left and logs them: a single one by its name, several of a policy together."""
    by_policy: defaultdict[str, list[Deletion]] = defaultdict(list)
    for deletion in deletions:
        labels = deletion.kind.value, deletion.policy
        metrics.FILES.labels(*labels).inc()
        metrics.BYTES.labels(*labels).inc(deletion.size_bytes + deletion.thumbnail_bytes)
        by_policy[deletion.policy].append(deletion)
    for policy, removed in by_policy.items():
        if len(removed) > 1:
            size_bytes = sum(deletion.size_bytes for deletion in removed)
            logger.info(
                "Removed %d files, %d bytes (%s)",
                len(removed),
                size_bytes,
                policy,
                extra={"files": len(removed), "size_bytes": size_bytes, "policy": policy},
            )
        level = logging.INFO if len(removed) == 1 else logging.DEBUG
        if logger.isEnabledFor(level):
            for deletion in removed:
                _say_one(level, deletion)


def _say_one(level: int, deletion: Deletion) -> None:
    logger.log(
        level,
        "Removed %s, %d bytes (%s)",
        deletion.mxc,
        deletion.size_bytes,
        deletion.policy,
        extra={"target": deletion.mxc, "size_bytes": deletion.size_bytes, "policy": deletion.policy},
    )


def next_jobs(txn: LoggingTransaction, now_ms: int, limit: int) -> list[Job]:
    """Reads what is due, and hides again what a moderator may have released meanwhile."""
    deletions = journal.due(txn, now_ms, limit)
    files = [deletion.media for deletion in deletions]
    no_pictures = media_deletion.hide_again(txn, files)
    thumbnails = media_deletion.thumbnails_of(txn, files)
    return [
        Job(deletion, thumbnails[media], may_have_more=bool(thumbnails[media]) or media not in no_pictures)
        for deletion, media in zip(deletions, files, strict=True)
    ]


def put_off_failed(txn: LoggingTransaction, failed: Sequence[tuple[Deletion, Fault]], now_ms: int) -> None:
    """Writes down why files could not be removed, and when to try again."""
    alike: defaultdict[tuple[int, Fault], list[int]] = defaultdict(list)
    for deletion, fault in failed:
        alike[retry_after_ms(deletion.attempts) if fault.tried else FIRST_RETRY_MS, fault].append(deletion.id)
    for (wait_ms, fault), deletion_ids in alike.items():
        journal.put_off(txn, deletion_ids, now_ms + wait_ms, str(fault), failed=fault.tried)


def note_unlinked(txn: LoggingTransaction, gone: Sequence[Job], now_ms: int) -> None:
    """Writes down that no bytes are left; files too young for that are looked at again."""
    settling: defaultdict[int, list[int]] = defaultdict(list)
    for job in gone:
        settling[settles_at(job.deletion)].append(job.deletion.id)
    for settled_ms, deletion_ids in settling.items():
        if now_ms < settled_ms:
            journal.put_off(txn, deletion_ids, settled_ms, None)
    settled = [job.deletion.id for job in gone if settles_at(job.deletion) <= now_ms]
    journal.advance(txn, settled, DeletionState.UNLINKED)


def drop_unlinked(txn: LoggingTransaction, gone: Sequence[Job], now_ms: int) -> list[Deletion]:
    """Removes the rows of files whose bytes are gone, and ends their deletions.

    Returns:
        Those that were ended here: not the ones that have to settle, got another thumbnail meanwhile, or that another
        process has ended.
    """
    files = [job.deletion.media for job in gone]
    # First the files, then the journal, as `plan_many` does.
    media_deletion.lock(txn, files)
    thumbnails = media_deletion.thumbnails_of(txn, files)
    late = {job.deletion.id for job in gone if thumbnails[job.deletion.media] - job.thumbnails}
    journal.advance(txn, late, DeletionState.HIDDEN)
    finished = journal.finish(txn, [job.deletion.id for job in gone if job.deletion.id not in late], now_ms)
    ended = [job.deletion for job in gone if job.deletion.id in finished]
    tally.note_changes(txn, [name_of(row.media) for row in ended], now_ms)
    media_deletion.drop_rows(txn, [row.media for row in ended if row.after is After.DROP])
    media_deletion.leave_tombstones(txn, [row.media for row in ended if row.after is After.TOMBSTONE])
    return ended
