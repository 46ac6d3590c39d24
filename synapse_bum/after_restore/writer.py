"""The duty that writes the recovery log: what has changed is owed, appended, and noted as written, by one process.

Each step is committed or on disk before the next one begins. After a crash in between, a line may stand in the file
that is still owed: its id tells that it is the database's own.
"""

import logging
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum.after_restore import metrics, owed, position, seen
from synapse_bum.after_restore.appending import append
from synapse_bum.after_restore.lines import Beginning
from synapse_bum.after_restore.log import RecoveryLog, Settings
from synapse_bum.after_restore.owed import Owed
from synapse_bum.after_restore.reading import Part, UnusableLogError, Whence, read_part
from synapse_bum.after_restore.source import Source
from synapse_bum.after_restore.tables import AFTER_RESTORE
from synapse_bum.database import Database, Lease, Leases, Outcome
from synapse_bum.database.error_text import first_line
from synapse_bum.deletion.log_file import Position

logger = logging.getLogger(__name__)

LEASE: Final = "recovery.log"
LEASE_TTL_MS: Final = 30_000
TICK_MS: Final = 2_000

BATCH: Final = 500
"""Changes of one source in a transaction, and lines that are appended together."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Work:
    """What is to be written now."""

    known: position.Known
    rows: tuple[Owed, ...]


class Writer:
    """Writes to the log what the sources have to tell."""

    def __init__(
        self, api: ModuleApi, database: Database, leases: Leases, log: RecoveryLog, settings: Settings
    ) -> None:
        """Prepare.

        Args:
            api: of the homeserver.
            database: the log's tables are added to its components.
            leases: of this process.
            log: knows the sources once all modules are made.
            settings: where the log is.
        """
        database.add(AFTER_RESTORE)
        self._api = api
        self._database = database
        self._leases = leases
        self._log = log
        self._settings = settings
        self._busy = False
        self._said: str | None = None
        self._compared_ms: dict[str, int] = {}
        self._summaries: dict[str, tuple[Any, ...] | None] = {}

    def start(self) -> None:
        """Have it done regularly."""
        self._api.looping_background_call(
            self.tick, TICK_MS, desc="synapse_bum_recovery_log", run_on_all_instances=True
        )

    async def tick(self) -> None:
        """Do one turn, unless the last one still runs or another process does it."""
        if self._busy:
            return
        self._busy = True
        try:
            outcome = await self._leases.run_while_held(LEASE, LEASE_TTL_MS, self.turn, keep=True)
        except Exception as error:  # noqa: BLE001 - a background duty: the next turn tries again
            metrics.FAILING.set(1)
            self._say_once(first_line(error))
        else:
            if outcome is Outcome.DONE:
                self._say_works()
            else:
                metrics.log_is_not_kept_here()
        finally:
            self._busy = False

    async def turn(self, lease: Lease) -> None:
        """Tell and write everything there is, while the lease is held.

        Raises:
            UnusableLogError: the file is not the one of this database.
            Exception: of the file or the database; what was owed still is.
        """
        while lease.held:
            has_more = await self._notice()
            work = await self._database.run("synapse_bum_recovery_owed", self._read)
            metrics.OWED.set(len(work.rows))
            # Looked at in each turn: a file that is gone or another one is noticed before there is something to write.
            part = await self._api.defer_to_thread(self._tail, work.known)
            if part.lines:
                # After a crash: they are there and were not noted.
                await self._database.run("synapse_bum_recovery_found", self._mark_found, work, part)
            elif part.is_empty and work.known.last_seq:
                await self._begin_anew(lease, work.known, part)
            elif part.is_begun:
                # Also where a process was killed before it noted that.
                await self._database.run("synapse_bum_recovery_anew", self._note_anew, work.known, part.end)
                self._compared_ms.clear()
                self._summaries.clear()
            elif work.rows:
                await self._write(lease, work, part)
            elif part.end != work.known.end.position and not part.torn:
                # Lines that stand there twice; without this the whole file would be read in each turn.
                end = attr.evolve(work.known.end, position=part.end)
                await self._database.run("synapse_bum_recovery_twice", self._advance, work.known.last_seq, end)
            elif not has_more:
                await self._database.run("synapse_bum_recovery_agree", position.agree, work.known.end)
                return

    async def _notice(self) -> bool:
        """Notes in the database what has changed; returns whether there may be more."""
        has_more = False
        for source in self._log.sources:
            now_ms = self._api.get_current_time_msec()
            if abs(now_ms - self._compared_ms.get(source.name, 0)) < source.every_ms:
                continue
            known = self._summaries.get(source.name)
            may_be_more, summary = await self._database.run(
                "synapse_bum_recovery_notice", _notice, source, known, now_ms
            )
            self._summaries[source.name] = None if may_be_more else summary
            if may_be_more:
                has_more = True
            else:
                self._compared_ms[source.name] = now_ms
        return has_more

    def _read(self, txn: LoggingTransaction) -> _Work:
        return _Work(position.known(txn), tuple(owed.first_owed(txn, BATCH)))

    def _tail(self, known: position.Known) -> Part:
        whence = Whence(
            seq=known.last_seq,
            written=known.last_seq,
            written_id=known.end.line_id,
            position=known.end.position,
            server=self._api.server_name,
            begins_at=self._settings.begins_at,
        )
        return read_part(self._settings.path, whence, may_be_empty=True)

    async def _begin_anew(self, lease: Lease, known: position.Known, part: Part) -> None:
        """Begins a new file, which says what it follows: one without a word may have been emptied by anybody."""
        if not lease.held:
            return
        logger.warning(
            "The recovery log %s is missing or empty (was it rotated?): all states are written to it once more",
            self._settings.path,
        )
        beginning = Beginning(known.last_seq, known.end.line_id, self._api.server_name)
        await self._api.defer_to_thread(append, self._settings.path, [beginning.encoded()], part.end)

    async def _write(self, lease: Lease, work: _Work, part: Part) -> None:
        if not lease.held:
            return
        lines = [
            row.line(work.known.last_seq + 1 + index, self._api.server_name) for index, row in enumerate(work.rows)
        ]
        encoded = [line.encoded() for line in lines]
        end = await self._api.defer_to_thread(append, self._settings.path, encoded, part.end)
        await self._database.run(
            "synapse_bum_recovery_mark", self._mark, work, position.End(lines[-1].seq, lines[-1].line_id, end)
        )
        for row in work.rows:
            metrics.LINES.labels(row.source).inc()

    def _mark_found(self, txn: LoggingTransaction, work: _Work, part: Part) -> None:
        found = {line.line_id for line in part.lines}
        strange = found - owed.owed_ids(txn)
        if strange:
            raise UnusableLogError(
                f"{self._settings.path} holds {len(strange)} lines that this database has never written: it was"
                " restored, or it is the log of another database. Stop all processes of Synapse and start them again"
            )
        self._advance(txn, work.known.last_seq, position.End(part.last_seq, part.last_id, part.end))
        owed.mark_found(txn, found)

    def _mark(self, txn: LoggingTransaction, work: _Work, end: position.End) -> None:
        self._advance(txn, work.known.last_seq, end)
        owed.mark_written(txn, work.rows)

    def _note_anew(self, txn: LoggingTransaction, known: position.Known, end: Position) -> None:
        """Has all states written to a new file; once the database knows that, a crash changes nothing about it."""
        position.advance(txn, known.last_seq, attr.evolve(known.end, position=end), [])
        for source in self._log.sources:
            if not source.tells_only_ends:
                seen.tell_again(txn, source)

    def _advance(self, txn: LoggingTransaction, old_seq: int, end: position.End) -> None:
        position.keep_up(txn, old_seq, end.seq)
        position.advance(txn, old_seq, end, [source.name for source in self._log.sources])

    def _say_once(self, why: str) -> None:
        if self._said is None:
            logger.warning(
                "What is closed can't be written to the recovery log %s: %s. It waits, and is written once that works",
                self._settings.path,
                why,
            )
        self._said = why

    def _say_works(self) -> None:
        metrics.FAILING.set(0)
        if self._said is not None:
            self._said = None
            logger.info("The recovery log %s is written again", self._settings.path)


def _notice(
    txn: LoggingTransaction, source: Source, known: tuple[Any, ...] | None, now_ms: int
) -> tuple[bool, tuple[Any, ...] | None]:
    """Notes what has changed; returns whether there may be more, and the summary as of then."""
    summary: tuple[Any, ...] | None = None
    if source.summary is not None:
        txn.execute(source.summary)
        summary = txn.fetchone()
        if summary is not None and summary == known:
            return False, summary
    changes, may_be_more = seen.take_changes(txn, source, BATCH)
    owed.owe(txn, source.name, changes, now_ms)
    return may_be_more, summary
