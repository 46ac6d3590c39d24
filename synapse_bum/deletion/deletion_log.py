"""The duty that writes the deletion log, a file outside the database, and deletes again what a backup brought back.

Lines are appended and on disk before it is noted that they are written, so a crash in between writes them twice and
loses none. The database remembers how far it knows the file. A file that goes on behind that belongs to a database that
was restored (or to a crash, where nothing is left to do): what stands there is deleted again before anything is added.
Of a file that is not the one the database knows, for example after a rotation, the same holds from its start.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.deletion import log_file, log_position, metrics, replay
from synapse_bum.deletion.file_outbox import FileOutbox, Outbox
from synapse_bum.deletion.log_file import Position, UnknownPart
from synapse_bum.deletion.log_lines import Line
from synapse_bum.deletion.replay import OnReplayed, Replayed
from synapse_bum.deletion.tables import DELETION
from synapse_bum.homeserver import media

logger = logging.getLogger(__name__)

LEASE: Final = "deletion.log"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 5_000

BATCH: Final = 500
"""Rows of one outbox that are written together."""


def keep_deletion_log(
    api: ModuleApi,
    database: Database,
    leases: Leases,
    path: str | None,
    *,
    on_replayed: OnReplayed,
    outboxes: Sequence[Outbox] = (),
) -> "DeletionLog | None":
    """Have the log kept, by one process that has the media volume; to be called in a module's `__init__`.

    Args:
        api: of the homeserver.
        database: the tables of deletions are added to its components.
        leases: of this process.
        path: of the log; None when there shall be none.
        on_replayed: gets what was deleted again after a restore.
        outboxes: whose lines are written beside those of files.

    Returns:
        The duty; None where this process does not do it.
    """
    database.add(DELETION)
    if not media.can_load_media(api):
        return None
    if path is None:
        api.delayed_background_call(0, _owe_nothing, database, desc="synapse_bum_deletion_log")
        return None
    log = DeletionLog(
        api, database, leases, Path(path), outboxes=[FileOutbox(api.server_name), *outboxes], on_replayed=on_replayed
    )
    log.start()
    return log


async def _owe_nothing(database: Database) -> None:
    try:
        await database.run("synapse_bum_deletion_log_none", log_position.forget_position)
    except Exception as error:  # noqa: BLE001 - a background duty: the next start tries again
        logger.warning("Old rows of the journal of deletions stay: %s", error)


class DeletionLog:
    """Writes what the outboxes owe, and reads what the database does not know."""

    def __init__(
        self,
        api: ModuleApi,
        database: Database,
        leases: Leases,
        path: Path,
        *,
        outboxes: Sequence[Outbox],
        on_replayed: OnReplayed,
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: with the tables of deletions and of all outboxes.
            leases: of this process.
            path: of the log.
            outboxes: in the order in which their lines are written.
            on_replayed: gets what was deleted again after a restore.
        """
        self._api = api
        self._database = database
        self._leases = leases
        self._path = path
        self._outboxes = tuple(outboxes)
        self._on_replayed = on_replayed
        self._busy = False
        self._is_up_to_date = False
        self._replayed = Replayed()
        self._said: str | None = None

    def start(self) -> None:
        """Have it done regularly."""
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_deletion_log", run_on_all_instances=True
        )

    async def tick(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            outcome = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self._turn, keep=True)
        except OSError as error:
            metrics.LOG_FAILING.set(1)
            self._say_once(f"{type(error).__name__}: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            metrics.LOG_FAILING.set(1)
            self._say_once(f"{type(error).__name__}: {error}")
        else:
            if outcome is not Outcome.DONE:
                # Whoever goes on may write what this process has never seen.
                self._is_up_to_date = False
                metrics.log_is_not_kept_here()
            else:
                self._say_works()
        finally:
            self._busy = False

    async def _turn(self, lease: Lease) -> None:
        while lease.held:
            known, owed = await self._database.run("synapse_bum_deletion_log_read", self._read)
            lines = [line for of_one in owed.values() for line in of_one]
            if not lines and self._is_up_to_date:
                return
            part = await self._api.defer_to_thread(log_file.unknown_part, self._path, known)
            if part is not None:
                await self._replay(part, known)
                continue
            self._say_replayed()
            self._is_up_to_date = True
            if not lines:
                return
            if not lease.held:
                return
            encoded = [line.encoded() for line in lines]
            end = await self._api.defer_to_thread(log_file.append, self._path, encoded)
            await self._database.run("synapse_bum_deletion_log_mark", self._mark, owed, known, end)

    def _read(self, txn: LoggingTransaction) -> tuple[Position, Mapping[Outbox, list[Line]]]:
        known = log_position.known_position(txn)
        return known, {outbox: outbox.pending(txn, BATCH) for outbox in self._outboxes}

    def _mark(
        self, txn: LoggingTransaction, written: Mapping[Outbox, Sequence[Line]], known: Position, end: Position
    ) -> None:
        log_position.advance_position(txn, known, end)
        for outbox, lines in written.items():
            if lines:
                outbox.mark(txn, lines)

    async def _replay(self, part: UnknownPart, known: Position) -> None:
        if not part.continues and known.size:
            logger.warning(
                "The deletion log %s is not the one that was written last (was it rotated?): it is read from its start",
                self._path,
            )
        files, unreadable = replay.read_lines(part.lines, self._api.server_name)

        def delete_again(txn: LoggingTransaction) -> Replayed:
            log_position.advance_position(txn, known, part.end)
            return replay.delete_again(
                txn,
                files,
                own_name=self._api.server_name,
                now_ms=self._api.get_current_time_msec(),
                on_replayed=self._on_replayed,
            )

        replayed = await self._database.run("synapse_bum_deletion_log_replay", delete_again)
        self._replayed += replayed + Replayed(unreadable=unreadable)

    def _say_replayed(self) -> None:
        done, self._replayed = self._replayed, Replayed()
        if done.planned:
            logger.info(
                "Brought up to date after a restore: %d files of the deletion log were still stored", done.planned
            )
        if done.held:
            logger.warning(
                "%d files of the deletion log are stored again and stay, because they are on hold", done.held
            )
        if done.unreadable:
            logger.warning("%d lines of the deletion log %s can't be read", done.unreadable, self._path)

    def _say_once(self, why: str) -> None:
        if self._said is None:
            logger.warning(
                "Deletions can't be written to the deletion log %s: %s. They go on, and are written once that works",
                self._path,
                why,
            )
        self._said = why

    def _say_works(self) -> None:
        metrics.LOG_FAILING.set(0)
        if self._said is not None:
            self._said = None
            logger.info("Deletions are written to the deletion log %s again", self._path)
