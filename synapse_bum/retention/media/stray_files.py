"""Files in the media store that no row knows: looked for once a week, and removed when they are old.

They are left where Synapse dies between writing a file and its row, where rows of URL previews were dropped alone, and
where a file of another server was fetched anew. Nobody is served them, and no other rule ever finds them.

How old a file is says its time of writing. So where a database was restored that is older than the files, files of the
time between have no rows and stay for their lifetime. Where so many have none that the database can't belong to the
media store, nothing is removed. Holds on other servers count; whose a local file without a row was nobody knows. Copies
at storage providers without a row are not found.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from prometheus_client import Counter, Gauge
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Lease, Leases
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION, holds
from synapse_bum.deletion.folders import is_media_store
from synapse_bum.deletion.survey import MAX_SHARE, Rows, Survey, YoungSample
from synapse_bum.deletion.walk import (
    Found,
    Removed,
    Unlike,
    only_files,
    remote_servers,
    remove_unchanged,
    take,
    walk_local,
    walk_remote,
)
from synapse_bum.homeserver import media, media_deletion, remote_media_listing, stored_ids
from synapse_bum.retention.classes import ACTOR, RetentionClass
from synapse_bum.retention.clock_record import time_now
from synapse_bum.retention.media.stray_tables import STRAY_FILES, next_ts, set_next_ts
from synapse_bum.retention.tables import RETENTION

logger = logging.getLogger(__name__)

LEASE: Final = "retention.stray_files"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
INTERVAL_MS: Final = 7 * DAY_MS
RETRY_MS: Final = DAY_MS
"""How long to wait after files could not be removed."""

MIN_AGE_MS: Final = 7 * DAY_MS
"""No younger file goes, however short its lifetime."""

SETTLED_MS: Final = 3_600_000
"""Younger files say nothing about the database: Synapse writes the file first and then the row."""

CHUNK: Final = 500
"""Files that are looked at in one step, or removed with one audit row."""

MAX_OLD_IDS: Final = 20_000
"""Old files of another server whose rows are looked for in one reading of all rows of that server."""

_PAUSE_S: Final = 0.05

FILES = Counter("synapse_bum_retention_stray_files", "Files without a row that were removed")
BYTES = Counter("synapse_bum_retention_stray_bytes", "Bytes of files without a row that were removed")
DISBELIEVED = Gauge(
    "synapse_bum_retention_stray_files_disbelieved",
    "1 when so many files have no row that the database seems not to belong to the media store: nothing is removed",
)

Cutoffs: TypeAlias = Callable[[], Awaitable[Mapping[RetentionClass, int]]]
"""Says up to which time of writing files are expired, in ms since the epoch; a class that is missing is left alone."""


class StrayFiles:
    """The duty of finding and removing files without rows, in the process with the media volume."""

    def __init__(self, api: ModuleApi, database: Database, leases: Leases, *, cutoffs: Cutoffs) -> None:
        """Prepares, and begins where this process has a media store.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            leases: one process does it.
            cutoffs: see there; of local media for uploads and URL previews. Asked at the beginning of each look.
        """
        for component in (DELETION, audit.AUDIT, RETENTION, STRAY_FILES):
            database.add(component)
        self._api = api
        self._database = database
        self._leases = leases
        self._cutoffs = cutoffs
        if media.can_load_media(api):
            api.looping_background_call(
                self.tick, TICK_MS, desc="synapse_bum_retention_stray_files", run_on_all_instances=True
            )

    async def tick(self) -> None:
        """Look through the media store, if it is time and no other process does it."""
        try:
            await self._look_if_due()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The look for files without a row has to wait: %s", first_line(error))

    async def _look_if_due(self) -> None:
        store = media_deletion.media_store(self._api)
        if store is None or not await self._is_due() or not await self._api.defer_to_thread(is_media_store, store):
            return

        async def work(lease: Lease) -> None:
            # Another process may have done it since.
            if await self._is_due():
                await self._look(store, lease)

        await self._leases.run_while_held(LEASE, LEASE_TTL_MS, work)

    async def _is_due(self) -> bool:
        planned_ts = await self._database.run("synapse_bum_retention_stray_due", next_ts)
        # A time further ahead was written by a clock that was wrong.
        return not 0 < planned_ts - self._api.get_current_time_msec() <= INTERVAL_MS

    async def _look(self, store: Path, lease: Lease) -> None:
        cutoffs = await self._cutoffs()
        if not cutoffs:
            return
        survey = Survey()
        local, remote = (self._old_before_ns(cutoffs.get(kind)) for kind in _MEDIA)
        if local is not None:
            await self._survey_local(store, survey, local, lease)
        if remote is not None:
            for server_name in await self._api.defer_to_thread(remote_servers, store):
                await self._survey_server(store, survey, server_name, remote, lease)
        if not lease.held:
            return
        wait_ms = INTERVAL_MS
        DISBELIEVED.set(0 if survey.is_believable else 1)
        if survey.is_believable:
            removed = await self._remove(store, survey, lease)
            await self._drop_abandoned_thumbnails(lease)
            wait_ms = RETRY_MS if removed.errors else TICK_MS // 2 if survey.overflowed else INTERVAL_MS
        else:
            logger.warning(
                "%d of %d files in the media store have no row in the database, more than %d %%: the database seems not"
                " to belong to this media store. No file was removed. If they are leftovers all the same, remove them"
                " by hand",
                survey.without_row,
                survey.looked_at,
                MAX_SHARE * 100,
            )
        now_ms = self._api.get_current_time_msec()
        await self._database.run("synapse_bum_retention_stray_done", set_next_ts, now_ms + wait_ms)

    async def _drop_abandoned_thumbnails(self, lease: Lease) -> None:
        """Remove the rows of other servers' thumbnails whose file has no row; their bytes are stray files."""
        after: tuple[str, str] | None = ("", "")
        while after is not None and lease.held:
            after = await self._database.run(
                "synapse_bum_retention_stray_thumbnails",
                remote_media_listing.drop_abandoned_thumbnails,
                after,
                stored_ids.REMOTE_PAGE,
            )
            if after is not None:
                await self._api.sleep(_PAUSE_S)

    def _old_before_ns(self, cutoff_ts: int | None) -> int | None:
        """Up to which time of writing a file without a row goes; None when its class is left alone."""
        if cutoff_ts is None:
            return None
        return min(cutoff_ts, self._api.get_current_time_msec() - MIN_AGE_MS) * 1_000_000

    async def _next(self, walk: Iterator[Found | Unlike], survey: Survey, lease: Lease) -> list[Found] | None:
        """The next files that say something; None at the end of the walk, or when the lease is lost."""
        if not lease.held:
            return None
        chunk = await self._api.defer_to_thread(take, walk, CHUNK)
        if not chunk:
            return None
        files = only_files(chunk)
        survey.unlike += len(chunk) - len(files)
        settled_ns = (self._api.get_current_time_msec() - SETTLED_MS) * 1_000_000
        return [file for file in files if file.mtime_ns <= settled_ns]

    async def _survey_local(self, store: Path, survey: Survey, old_before_ns: int, lease: Lease) -> None:
        walk = walk_local(store)
        while (files := await self._next(walk, survey, lease)) is not None:
            ids = {file_id for file in files for file_id in file.owner.file_ids}
            stored = await self._database.run("synapse_bum_retention_stray_local", stored_ids.stored_local, ids)
            for file in files:
                has_row = not stored.isdisjoint(file.owner.file_ids)
                survey.count(file, has_row=has_row, is_old=file.mtime_ns <= old_before_ns)
            await self._api.sleep(_PAUSE_S)

    async def _survey_server(
        self, store: Path, survey: Survey, server_name: str, old_before_ns: int, lease: Lease
    ) -> None:
        walk = walk_remote(store, server_name)
        young = YoungSample()
        old: list[Found] = []
        while (files := await self._next(walk, survey, lease)) is not None:
            for file in files:
                if file.mtime_ns <= old_before_ns:
                    old.append(file)
                else:
                    young.add(file)
            if len(old) >= MAX_OLD_IDS:
                await self._judge_remote(survey, server_name, old, YoungSample(), lease)
                old = []
            await self._api.sleep(_PAUSE_S)
        await self._judge_remote(survey, server_name, old, young, lease)

    async def _judge_remote(
        self, survey: Survey, server_name: str, old: list[Found], young: YoungSample, lease: Lease
    ) -> None:
        rows = await self._rows_of(server_name, {file.owner.file_ids[0] for file in old} | set(young.file_ids), lease)
        if rows is None:
            return
        for file in old:
            file_id = file.owner.file_ids[0]
            survey.count(file, has_row=rows.has(file_id), is_old=True)
            if file_id in rows.tombstones:
                survey.collect(file)
        without_row = sum(not rows.has(file_id) for file_id in young.file_ids)
        survey.count_share(young.files, len(young.file_ids), without_row)

    async def _rows_of(self, server_name: str, wanted: set[str], lease: Lease) -> Rows | None:
        """Look for some ids among all rows of a server, since no index has them; None when the lease is lost."""
        files: set[str] = set()
        tombstones: set[str] = set()
        after: str | None = ""
        while after is not None and len(files) + len(tombstones) < len(wanted):
            if not lease.held:
                return None
            here, buried, after = await self._database.run(
                "synapse_bum_retention_stray_remote", stored_ids.remote_ids, server_name, after
            )
            files |= wanted.intersection(here)
            tombstones |= wanted.intersection(buried)
            if after is not None:
                await self._api.sleep(_PAUSE_S)
        return Rows(files, tombstones)

    async def _remove(self, store: Path, survey: Survey, lease: Lease) -> Removed:
        """Remove what was collected, with one audit row for each chunk."""
        files, size_bytes, errors = 0, 0, list[str]()
        for start in range(0, len(survey.strays), CHUNK):
            if not lease.held:
                break
            now_ms = self._api.get_current_time_msec()
            held = await self._database.run("synapse_bum_retention_stray_held", _held_servers, now_ms)
            if held is None:
                logger.info("Files without a row have to wait: no run has begun to count the time yet")
                break
            chunk = [file for file in survey.strays[start : start + CHUNK] if file.owner.server_name not in held]
            removed = await self._api.defer_to_thread(remove_unchanged, store, chunk)
            if removed.files:
                await self._database.run("synapse_bum_retention_stray_audit", _record, removed, now_ms)
            files, size_bytes = files + removed.files, size_bytes + removed.size_bytes
            errors += removed.errors
            await self._api.sleep(_PAUSE_S)
        logger.info(
            "Removed %d files without a row, %d bytes; looked at %d files, left %d that are not Synapse's",
            files,
            size_bytes,
            survey.looked_at,
            survey.unlike,
            extra={"items": files, "size_bytes": size_bytes},
        )
        if errors:
            logger.warning("%d files without a row could not be removed, the first because: %s", len(errors), errors[0])
        return Removed(files, size_bytes, tuple(errors))


_MEDIA: Final = (RetentionClass.LOCAL_MEDIA, RetentionClass.REMOTE_MEDIA)


def _held_servers(txn: LoggingTransaction, wall_ms: int) -> frozenset[str] | None:
    """Whose files must stay, by a clock that a jump of the system clock does not move; None without such a clock."""
    now_ms = time_now(txn, wall_ms)
    return None if now_ms is None else holds.held_uploaders(txn, now_ms).servers


def _record(txn: LoggingTransaction, removed: Removed, now_ms: int) -> None:
    txn.call_after(FILES.inc, removed.files)
    txn.call_after(BYTES.inc, removed.size_bytes)
    new = {"items": removed.files, "bytes": removed.size_bytes}
    audit.append(txn, audit.Entry(now_ms, ACTOR, "retention.stray_files.remove", "media store", new=new))
