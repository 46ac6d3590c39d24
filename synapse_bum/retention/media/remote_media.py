"""Files of other servers by age: removed some days after they were first received here, and never fetched again.

Synapse's row stays without its file, as a tombstone that answers 404. The avatars of remote users would vanish that
way, so a small image that one of them shows as such is only evicted: whoever asks for it has it fetched again, and it
lives as long as any new file. A tombstone is for ever, whatever becomes of its picture.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.database import Database, Lease
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion import DELETION, After, FileRemover, holds
from synapse_bum.deletion.planning import plan_many
from synapse_bum.homeserver import media, remote_media_listing
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.remote_media_listing import CachedFile, Key
from synapse_bum.retention.classes import ACTOR, LARGE_CLASS, SAMPLE, Backlog, Batch, Item, RetentionClass, Step
from synapse_bum.retention.media import remote_index
from synapse_bum.retention.media.remote_index import START, Entry, Measured, Position, Walk
from synapse_bum.retention.media.remote_tables import REMOTE_MEDIA
from synapse_bum.retention.media.unremoved import measure_unremoved, summed
from synapse_bum.retention.tables import CLOCK_LAGS

logger = logging.getLogger(__name__)

MAX_AVATAR_BYTES: Final = 10 << 20
"""A larger file is no avatar, whoever refers to it as one."""

SMALL_TABLE: Final = 100_000
"""Rows of Synapse's table up to which every run walks all of it."""

TICK_MS: Final = 60_000
"""How often the walk over a larger table goes on."""

TICKS_PER_PASS: Final = 1_000
"""A pass over a large table is spread over so many turns: 17 hours."""

REST_MS: Final = 6 * 3_600_000
"""From the end of a pass to the beginning of the next."""

_PAUSE_S: Final = 0.02
"""Between two pages of the walk."""

_PAGES_OF_HELD: Final = 20
"""So many batches of nothing but held files are passed over in one transaction."""


class References(Protocol):
    """Who knows which remote files are shown now; `ProtectedMedia` does."""

    async def prepare(self, lease: Lease, *, thorough: bool) -> None:
        """Bring it up to date before a run; raises `NotReadyError` when that can't be done now."""

    async def catch_up(self, lease: Lease) -> None:
        """Take in what has changed since, before each batch; raises `NotReadyError`."""

    def follow(self, txn: LoggingTransaction) -> None:
        """Take in the rest, first of all in the transaction that decides; raises `NotReadyError`."""

    def referenced_remote(self, txn: LoggingTransaction, keys: Sequence[Key]) -> set[Key]:
        """Find those of some files that users of other servers show now as avatars or image packs; after `follow`."""


def is_avatar(file: CachedFile, *, referenced: bool) -> bool:
    """Whether a file may be fetched again after its time, because it is the avatar or sticker of somebody remote. Pure.

    Args:
        file: of another server, which also says what type it is: a document that calls itself an image comes again.
        referenced: whether an avatar or image pack of a user of another server shows it now.
    """
    is_image = (file.media_type or "").lower().startswith("image/")
    return referenced and is_image and file.size_bytes <= MAX_AVATAR_BYTES


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Sorted:
    """What a batch of entries is about.

    Attributes:
        expired: to be removed.
        later: fetched anew since the entry was written, and young.
        gone: there is no such file any more.
    """

    expired: tuple[Entry, ...]
    later: tuple[Entry, ...]
    gone: tuple[Position, ...]


def sort_out(entries: Sequence[Entry], cutoff_ts: int, held_servers: frozenset[str]) -> Sorted:
    """Decide what to do with entries whose time has come; Synapse's row has the last word. Pure.

    Args:
        entries: oldest first.
        cutoff_ts: what came at this time or earlier is expired; ms since the epoch.
        held_servers: whose files must stay; they are in none of the three lists.
    """
    gone = tuple(entry.position for entry in entries if entry.file is None)
    here = [entry for entry in entries if entry.file is not None and entry.position.server_name not in held_servers]
    expired, later = [], []
    for entry in here:
        if entry.file is not None and entry.file.created_ts <= cutoff_ts:
            expired.append(entry)
        else:
            later.append(entry)
    return Sorted(tuple(expired), tuple(later), gone)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Progress:
    """Where a run is in the index. What it has passed over and left does not come again in this run.

    Attributes:
        run_id: which run.
        position: the last entry that it has looked at.
    """

    run_id: str
    position: Position


class RemoteMediaPurger:
    """The `Purger` of remote media; on every process, since every process may be asked for the backlog."""

    retention_class = RetentionClass.REMOTE_MEDIA

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        *,
        remover: FileRemover | None,
        references: References,
        batch_size: int,
    ) -> None:
        """Prepares, and has arrivals noted.

        Args:
            api: of the homeserver.
            database: our tables are added to its components.
            remover: woken after each batch; None in a process without the media volume.
            references: which files may be fetched again.
            batch_size: files in one transaction.
        """
        for component in (DELETION, audit.AUDIT, REMOTE_MEDIA, CLOCK_LAGS):
            database.add(component)
        self._api = api
        self._database = database
        self._remover = remover
        self._references = references
        self._batch_size = batch_size
        self._progress = Progress("", START)
        self._busy = False
        if media.can_load_media(api):
            remote_media_listing.watch_arrivals(api, self._note_later)
        # On the one process with background tasks. Two that walk at the same time would only be faster.
        api.looping_background_call(self.walk_on, TICK_MS, desc="synapse_bum_retention_remote_walk")

    def _note_later(self, server_name: str, media_id: str, created_ts: int) -> None:
        """Note an arrival without the client waiting for it; one that gets lost is found by the walk."""
        self._api.delayed_background_call(
            0, self._note, server_name, media_id, created_ts, desc="synapse_bum_retention_note_remote"
        )

    async def _note(self, server_name: str, media_id: str, created_ts: int) -> None:
        try:
            await self._database.run(
                "synapse_bum_retention_note_remote", remote_index.note, server_name, media_id, created_ts
            )
        except Exception as error:  # noqa: BLE001 - the walk finds the file within a day
            logger.info("The age of mxc://%s/%s is noted later: %s", server_name, media_id, first_line(error))

    async def walk_on(self) -> None:
        """Go on with the walk over a table that is too large for each run to walk all of it."""
        if self._busy:
            return
        self._busy = True
        try:
            await self._walk_share()
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            logger.warning("The walk over remote media has to wait: %s", first_line(error))
        finally:
            self._busy = False

    async def _walk_share(self) -> None:
        now_ms = self._api.get_current_time_msec()
        walk = await self._database.run("synapse_bum_retention_remote_walk", remote_index.get_walk)
        for _ in range(pages_due(walk, now_ms)):
            if (await self._walk_page()).begun_ts is None:
                return

    async def _walk_page(self) -> Walk:
        now_ms = self._api.get_current_time_msec()
        return await self._database.run("synapse_bum_retention_remote_page", remote_index.walk_page, now_ms)

    async def prepare(self, cutoff_ts: int, lease: Lease, *, thorough: bool) -> None:
        """See `Purger.prepare`: walks all of Synapse's table if that is quick, was never done, or is asked for."""
        del cutoff_ts
        await self._references.prepare(lease, thorough=False)
        now_ms = self._api.get_current_time_msec()
        anew = thorough or not await self._database.run(
            "synapse_bum_retention_remote_size", remote_index.has_more_rows, SMALL_TABLE
        )
        if anew:
            await self._database.run("synapse_bum_retention_remote_anew", remote_index.walk_anew, now_ms)
        else:
            walk = await self._database.run("synapse_bum_retention_remote_walk", remote_index.get_walk)
            if walk.is_current(now_ms):
                return
        while lease.held and (await self._walk_page()).begun_ts is not None:
            await self._api.sleep(_PAUSE_S)

    async def backlog(self, cutoff_ts: int) -> Backlog:
        """See `Purger.backlog`; while the index is not complete it costs a look at all of Synapse's table."""
        found = await self._database.run("synapse_bum_retention_remote_backlog", self._measure, cutoff_ts)
        unremoved = await measure_unremoved(self._api, self._database, self.retention_class)
        return summed([*(Backlog(server.items, server.size_bytes, server.oldest_ts) for server in found), unremoved])

    async def sample(self, cutoff_ts: int) -> list[Item]:
        """See `Purger.sample`."""
        return await self._database.run("synapse_bum_retention_remote_sample", self._sample, cutoff_ts)

    async def is_large(self) -> bool:
        """See `Purger.is_large`."""
        now_ms = self._api.get_current_time_msec()
        return await self._database.run(
            "synapse_bum_retention_remote_large", remote_index.has_at_least, LARGE_CLASS, now_ms
        )

    def _measure(self, txn: LoggingTransaction, cutoff_ts: int) -> list[Measured]:
        """What is expired of each server that is not held."""
        now_ms = self._api.get_current_time_msec()
        held = holds.held_uploaders(txn, now_ms).servers
        return [server for server in remote_index.measure(txn, cutoff_ts, now_ms) if server.server_name not in held]

    def _sample(self, txn: LoggingTransaction, cutoff_ts: int) -> list[Item]:
        # The oldest files are among those of as many servers with the oldest files.
        servers = sorted(self._measure(txn, cutoff_ts), key=lambda server: server.oldest_ts)[:SAMPLE]
        if not servers:
            return []
        names = [server.server_name for server in servers]
        found = remote_index.oldest(txn, cutoff_ts, self._api.get_current_time_msec(), names, SAMPLE)
        return [Item(f"mxc://{file.server_name}/{file.media_id}", file.created_ts, file.size_bytes) for file in found]

    async def purge(self, step: Step) -> Batch:
        """See `Purger.purge`."""
        if self._progress.run_id != step.run_id:
            self._progress = Progress(step.run_id, START)
        await self._references.catch_up(step.lease)
        batch, position = await self._database.run(
            "synapse_bum_retention_remote_purge", self._purge, step, self._progress.position
        )
        self._progress = Progress(step.run_id, position)
        return batch

    def _purge(self, txn: LoggingTransaction, step: Step, after: Position) -> tuple[Batch, Position]:
        """Plan one batch; returns it and the last entry that was looked at."""
        self._references.follow(txn)
        held_servers = holds.held_uploaders(txn, step.now_ms).servers
        position, more = after, True
        found = Sorted((), (), ())
        for _ in range(_PAGES_OF_HELD):
            entries = remote_index.read(txn, position, step.cutoff_ts, self._batch_size)
            more = len(entries) == self._batch_size
            position = entries[-1].position if entries else position
            found = sort_out(entries, step.cutoff_ts, held_servers)
            if found.expired or found.later or found.gone or not more:
                break
        remote_index.forget(txn, found.gone)
        remote_index.correct(txn, found.later)
        items, size_bytes = self._plan(txn, step, found.expired) if found.expired else (0, 0)
        return Batch(items, size_bytes, more=more), position

    def _plan(self, txn: LoggingTransaction, step: Step, expired: Sequence[Entry]) -> tuple[int, int]:
        """Plan the deletion of expired files; returns how many were planned, and their bytes."""
        files = {entry.position: entry.file for entry in expired if entry.file is not None}
        remote_media_listing.adopt_thumbnails(txn, [file.media for file in files.values() if file.foreign_thumbnails])
        referenced = self._references.referenced_remote(txn, [_key(file.media) for file in files.values()])
        after = {
            file.media: After.DROP if is_avatar(file, referenced=_key(file.media) in referenced) else After.TOMBSTONE
            for file in files.values()
        }
        plans = plan_many(
            txn,
            list(after),
            policy=self.retention_class.policy,
            actor=ACTOR,
            reason=None,
            now_ms=step.now_ms,
            after=after,
        )
        held = {_key(file) for file, _hold in plans.held}
        remote_index.forget(txn, [position for position, file in files.items() if _key(file.media) not in held])
        if plans.planned:
            self._record(txn, step, len(plans.planned), plans.size_bytes)
        return len(plans.planned), plans.size_bytes

    def _record(self, txn: LoggingTransaction, step: Step, items: int, size_bytes: int) -> None:
        step.confirm(txn, items, size_bytes)
        if self._remover is not None:
            txn.call_after(self._remover.kick)
        new = {"kind": self.retention_class.value, "items": items, "bytes": size_bytes}
        # Last: other appends wait for it until the commit.
        audit.append(txn, audit.Entry(step.now_ms, ACTOR, "retention.purge", step.run_id, new=new))


def pages_due(walk: Walk, now_ms: int) -> int:
    """How many pages the walk over a large table should do in one turn. Pure.

    Args:
        walk: how far it is.
        now_ms: ms since the epoch.

    Returns:
        0 while it rests, for a table that every run walks anyway, and before the first pass, which is the first run's.
    """
    if walk.completed_ts is None or walk.completed_pages * remote_index.PAGE <= SMALL_TABLE:
        return 0
    if walk.begun_ts is None and now_ms - walk.completed_ts < REST_MS:
        return 0
    return -(-walk.completed_pages // TICKS_PER_PASS)


def _key(file: StoredMedia) -> Key:
    return file.server_name, file.media_id
