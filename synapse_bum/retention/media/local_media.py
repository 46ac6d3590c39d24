"""Deleting the files that were uploaded here by their age since upload, whoever has looked at them since.

A run walks once over all uploaders (`homeserver/local_media_listing.py`) and remembers where it is, so that what is
protected or held is not looked at again for every batch. What a batch may delete is decided in its own transaction,
after everything that changed before it was taken in.
"""

import heapq
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit, deletion
from synapse_bum.database import Database, Lease
from synapse_bum.deletion.holds import held_uploaders
from synapse_bum.homeserver import local_media_listing
from synapse_bum.homeserver.local_media_listing import Expired, LocalFile, Place, Total
from synapse_bum.retention.classes import (
    ACTOR,
    LARGE_CLASS,
    SAMPLE,
    Backlog,
    Batch,
    Item,
    RetentionClass,
    Step,
)
from synapse_bum.retention.media.protected import ProtectedMedia
from synapse_bum.retention.media.protected_store import PROTECTS
from synapse_bum.retention.media.references import uri_of_file
from synapse_bum.retention.media.unremoved import measure_unremoved, summed
from synapse_bum.retention.tables import CLOCK_LAGS

AUDIT_ACTION: Final = "retention.purge"
"""The action of the audit row of a batch; its target is the id of the run."""

PAGES_PER_BATCH: Final = 5
"""Pages of the walk in one transaction, when they hold less than a batch."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Walk:
    """How far a run has come.

    Attributes:
        run_id: of the run.
        after: up to this place everything was dealt with; None at the end.
    """

    run_id: str
    after: Place | None


class LocalMediaPurger:
    """Purges local media; see `retention.classes.Purger`."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        *,
        remover: deletion.FileRemover | None,
        protected: ProtectedMedia,
        batch_size: int,
    ) -> None:
        """Prepares; touches no database yet.

        Args:
            api: of the homeserver.
            database: the tables of deletions and of the audit are added to its components.
            remover: of deleted files, where this process has the media volume.
            protected: what must stay.
            batch_size: files in one transaction.
        """
        database.add(deletion.DELETION)
        database.add(audit.AUDIT)
        database.add(CLOCK_LAGS)
        self._api = api
        self._database = database
        self._remover = remover
        self._protected = protected
        self._batch_size = batch_size
        self._walk = Walk("", None)

    @property
    def retention_class(self) -> RetentionClass:
        """Which class."""
        return RetentionClass.LOCAL_MEDIA

    async def prepare(self, cutoff_ts: int, lease: Lease, *, thorough: bool) -> None:  # noqa: ARG002 - of `Purger`
        """Bring up to date what is protected.

        Raises:
            NotReadyError: the lease was lost.
        """
        await self._protected.prepare(lease, thorough=thorough)

    async def backlog(self, cutoff_ts: int) -> Backlog:
        """Measure what is expired and still there, bytes that could not be removed included.

        Raises:
            NotReadyError: what protects files was never read.
        """
        after: str | None = None
        totals: list[Total] = []
        while True:
            found, after = await self._database.run(
                "synapse_bum_retention_local_backlog", self._totals, cutoff_ts, after
            )
            totals += found
            if after is None:
                break
        unremoved = await measure_unremoved(self._api, self._database, RetentionClass.LOCAL_MEDIA)
        return summed([*(Backlog(total.items, total.size_bytes, total.oldest_ts) for total in totals), unremoved])

    async def sample(self, cutoff_ts: int) -> list[Item]:
        """The oldest expired files.

        Raises:
            NotReadyError: what protects files was never read.
        """
        after: str | None = None
        oldest: list[LocalFile] = []
        while True:
            found, after = await self._database.run(
                "synapse_bum_retention_local_sample", self._oldest, cutoff_ts, after
            )
            oldest = heapq.nsmallest(SAMPLE, [*oldest, *found], key=lambda file: (file.created_ts, file.media.media_id))
            if after is None:
                break
        own_name = self._api.server_name
        return [Item(uri_of_file(own_name, file.media.media_id), file.created_ts, file.size_bytes) for file in oldest]

    async def is_large(self) -> bool:
        """Whether there are `LARGE_CLASS` files or more."""
        return await self._database.run(
            "synapse_bum_retention_local_is_large", local_media_listing.has_files, LARGE_CLASS
        )

    async def purge(self, step: Step) -> Batch:
        """Delete the next expired files.

        Raises:
            NotReadyError: what protects files is not known.
        """
        if self._walk.run_id != step.run_id:
            self._walk = Walk(step.run_id, local_media_listing.START)
        if self._walk.after is None:
            return Batch(0, 0, more=False)
        await self._protected.catch_up(step.lease)
        batch, after = await self._database.run(
            "synapse_bum_retention_purge_local", self._purge, step, self._walk.after
        )
        self._walk = Walk(step.run_id, after)
        return batch

    def _expired(self, cutoff_ts: int) -> Expired:
        own_name = self._api.server_name
        return Expired(own_name, cutoff_ts, PROTECTS, (own_name,))

    def _totals(self, txn: LoggingTransaction, cutoff_ts: int, after: str | None) -> tuple[list[Total], str | None]:
        self._protected.require_complete(txn)
        held = held_uploaders(txn, self._api.get_current_time_msec()).users
        found, reached = local_media_listing.expired_totals(self._api, txn, self._expired(cutoff_ts), after)
        return [total for total in found if total.uploader not in held], reached

    def _oldest(self, txn: LoggingTransaction, cutoff_ts: int, after: str | None) -> tuple[list[LocalFile], str | None]:
        self._protected.require_complete(txn)
        held = held_uploaders(txn, self._api.get_current_time_msec()).users
        found, reached = local_media_listing.oldest_files(self._api, txn, self._expired(cutoff_ts), after, SAMPLE)
        return [file for file in found if file.media.uploader not in held], reached

    def _purge(self, txn: LoggingTransaction, step: Step, after: Place) -> tuple[Batch, Place | None]:
        self._protected.follow(txn)
        files, reached = self._next_files(txn, step.cutoff_ts, after)
        stay = self._protected.shielded(txn, [file.media.media_id for file in files])
        plans = deletion.plan_many(
            txn,
            [file.media for file in files if file.media.media_id not in stay],
            policy=RetentionClass.LOCAL_MEDIA.policy,
            actor=ACTOR,
            reason=None,
            now_ms=step.now_ms,
        )
        held = {media.uploader for media, _hold in plans.held}
        if reached is not None and reached.uploader in held:
            # All of his other files are held too.
            reached = Place.behind(reached.uploader)
        if plans.planned:
            self._record(txn, step, len(plans.planned), plans.size_bytes)
        return Batch(len(plans.planned), plans.size_bytes, more=reached is not None), reached

    def _next_files(
        self, txn: LoggingTransaction, cutoff_ts: int, after: Place
    ) -> tuple[list[LocalFile], Place | None]:
        expired = self._expired(cutoff_ts)
        files: list[LocalFile] = []
        reached: Place | None = after
        for _ in range(PAGES_PER_BATCH):
            wanted = self._batch_size - len(files)
            if reached is None or not wanted:
                break
            found, reached = local_media_listing.expired_page(self._api, txn, expired, reached, wanted)
            files += found
        return files, reached

    def _record(self, txn: LoggingTransaction, step: Step, items: int, size_bytes: int) -> None:
        counted = {"kind": RetentionClass.LOCAL_MEDIA.value, "items": items, "bytes": size_bytes}
        step.confirm(txn, items, size_bytes)
        if self._remover is not None:
            txn.call_after(self._remover.kick)
        audit.append(txn, audit.Entry(step.now_ms, ACTOR, AUDIT_ACTION, step.run_id, new=counted))
