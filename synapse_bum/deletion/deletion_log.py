"""The duty that writes the deletion log, a file outside the database, and deletes again what a backup brought back.

Lines are appended and on disk before it is noted that they are written, so a crash in between writes them twice and
loses none. The database remembers how far it knows the file. A file that goes on behind that belongs to a database that
was restored (or to a crash, where nothing is left to do): what stands there is deleted again before anything is added.
Of a file that another one was rotated away from the same holds from its start. A file that is missing, older, not whole
or damaged is an error (`log_reading.py`), and the process does not start.

That is done before the listeners, too (`bring_up_to_date`), so that no file of a restored backup is ever served. Which
holds are in force then says the backup; `delete_held_again` is for whoever has brought holds up to date after that.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.config import SetupError
from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.database.schema import migrate
from synapse_bum.deletion import log_file, log_position, metrics, replay
from synapse_bum.deletion.file_outbox import FileOutbox, Outbox
from synapse_bum.deletion.log_file import Position
from synapse_bum.deletion.log_lines import Line, beginning_line
from synapse_bum.deletion.log_reading import UnknownPart, UnusableLogError, has_vanished, unknown_part
from synapse_bum.deletion.replay import OnReplayed, Replayed
from synapse_bum.deletion.tables import DELETION
from synapse_bum.homeserver import before_listeners, media
from synapse_bum.homeserver.shared_objects import shared_object

logger = logging.getLogger(__name__)

LEASE: Final = "deletion.log"
LEASE_TTL_MS: Final = 60_000
TICK_MS: Final = 5_000

_TRIES: Final = 5
"""So often another process may go on with the log while this one reads it at its start."""

BATCH: Final = 500
"""Rows of one outbox that are written together."""

HELD_EVERY_MS: Final = 60_000
"""How often it is looked whether a hold has ended that keeps files which a restore brought back."""


@attr.s(auto_attribs=True, slots=True)
class _Kept:
    """The duty of this process; None where there is none."""

    log: "DeletionLog | None" = None


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

    Raises:
        SetupError: what the log says was deleted could not be hidden, so nothing may be served.
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
    if not before_listeners.is_in_memory(api):
        log.bring_up_to_date()
    log.start()
    shared_object(api, _Kept, _Kept).log = log
    return log


def delete_held_again(api: ModuleApi) -> None:
    """Hides, before any listener opens, what the deletion log names and only a hold kept that was lifted since.

    To be called in a module's `__init__` after it has changed holds, whether or not a log is kept.

    Raises:
        SetupError: that can't be done.
    """
    log = shared_object(api, _Kept, _Kept).log
    if log is not None and not before_listeners.is_in_memory(api):
        log.delete_held_again()


async def _owe_nothing(database: Database) -> None:
    try:
        await database.run("synapse_bum_deletion_log_none", log_position.forget_position)
    except Exception as error:  # noqa: BLE001 - a background duty: the next start tries again
        logger.warning("Old rows of the journal of deletions stay: %s", first_line(error))


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
        self._looked_for_held_ms: int | None = None

    def start(self) -> None:
        """Have it done regularly."""
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_deletion_log", run_on_all_instances=True
        )

    def bring_up_to_date(self) -> None:
        """Hides, before any listener opens, what the log says was deleted and the database has all the same.

        Raises:
            SetupError: that can't be done.
        """
        try:
            before_listeners.run_before_listeners(self._api, "synapse_bum_deletion_log_tables", self._make_tables)
            tries = 0
            while True:
                known = before_listeners.run_before_listeners(
                    self._api, "synapse_bum_deletion_log_known", log_position.known_position
                )
                part = unknown_part(self._path, known, self._api.server_name)
                if part is None:
                    break
                try:
                    replayed = before_listeners.run_before_listeners(
                        self._api, "synapse_bum_deletion_log_replay", self._delete_again(part, known)
                    )
                except log_position.OvertakenError:
                    tries += 1
                    if tries == _TRIES:
                        raise
                    continue
                self._replayed += replayed
        except UnusableLogError as error:
            raise SetupError(f"`config.deletion_log_path`: {error}") from None
        except Exception as error:  # noqa: BLE001 - chained, what it quotes would be logged
            raise self._not_replayed(error) from None
        self._say_replayed()

    def delete_held_again(self) -> None:
        """See the function of this name.

        Raises:
            SetupError: that can't be done.
        """
        try:
            self._replayed += before_listeners.run_before_listeners(
                self._api, "synapse_bum_deletion_log_held", self._delete_held_again
            )
        except Exception as error:  # noqa: BLE001 - chained, what it quotes would be logged
            raise self._not_replayed(error) from None
        self._say_replayed()

    def _not_replayed(self, error: Exception) -> SetupError:
        return SetupError(
            f"the deletion log `config.deletion_log_path` {self._path} could not be read into the database, so"
            f" files that were deleted after a backup may be there again; nothing is served: {first_line(error)}"
        )

    def _delete_held_again(self, txn: LoggingTransaction) -> Replayed:
        return replay.delete_held_again(
            txn,
            own_name=self._api.server_name,
            now_ms=self._api.get_current_time_msec(),
            on_replayed=self._on_replayed,
        )

    def _make_tables(self, txn: LoggingTransaction) -> None:
        migrate(txn, self._database.dialect, self._database.components)

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
            self._say_once(first_line(error))
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
        await self._look_for_held()
        while lease.held:
            known, owed = await self._database.run("synapse_bum_deletion_log_read", self._read)
            lines = [line for of_one in owed.values() for line in of_one]
            if await self._api.defer_to_thread(has_vanished, self._path, known):
                await self._begin_anew(known)
                continue
            if not lines and self._is_up_to_date:
                return
            part = await self._api.defer_to_thread(unknown_part, self._path, known, self._api.server_name)
            if part is not None:
                await self._replay(part, known)
                continue
            self._say_replayed()
            self._is_up_to_date = True
            if not lines:
                return
            if not lease.held:
                return
            end = await self._append(lines, known)
            await self._database.run("synapse_bum_deletion_log_mark", self._mark, owed, known, end)

    async def _look_for_held(self) -> None:
        now_ms, last_ms = self._api.get_current_time_msec(), self._looked_for_held_ms
        if last_ms is None or abs(now_ms - last_ms) >= HELD_EVERY_MS:
            replayed = await self._database.run("synapse_bum_deletion_log_held", self._delete_held_again)
            self._replayed += Replayed(planned=replayed.planned)
            self._looked_for_held_ms = now_ms
            self._say_replayed()

    async def _begin_anew(self, known: Position) -> None:
        """Have a file say at once what it follows: whoever reads it after a restore must not miss a part."""
        end = await self._append([], known)
        await self._database.run("synapse_bum_deletion_log_mark", self._mark, {}, known, end)
        logger.warning(
            "The deletion log %s is missing or empty (was it rotated?): a new one is begun. Keep the older part as long"
            " as backups of the database",
            self._path,
        )

    async def _append(self, lines: Sequence[Line], known: Position) -> Position:
        encoded = [line.encoded() for line in lines]
        beginning = b""
        if known.size:
            beginning = beginning_line(self._api.server_name, known, self._api.get_current_time_msec())
        return await self._api.defer_to_thread(partial(log_file.append, self._path, encoded, beginning=beginning))

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
        delete_again = self._delete_again(part, known)
        self._replayed += await self._database.run("synapse_bum_deletion_log_replay", delete_again)

    def _delete_again(self, part: UnknownPart, known: Position) -> Callable[[LoggingTransaction], Replayed]:
        """Makes what deletes again the files of a part of the log, in one transaction."""

        def delete_again(txn: LoggingTransaction) -> Replayed:
            log_position.advance_position(txn, known, part.end)
            replayed = replay.delete_again(
                txn,
                part.files,
                own_name=self._api.server_name,
                now_ms=self._api.get_current_time_msec(),
                on_replayed=self._on_replayed,
            )
            return replayed + Replayed(torn=part.torn)

        return delete_again

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
        if done.torn:
            logger.info("%d lines of the deletion log %s were never finished", done.torn, self._path)

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
