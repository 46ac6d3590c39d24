"""The recovery log: brings a restored database up to date before the first request, and writes what changes after it.

Synapse makes modules in the order of homeserver.yaml, so a source may come before the path of the log is known, or
after it. Either way it is brought up to date while modules are made, which is before any listener is opened.
"""

import logging
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attr
from synapse.module_api import LoggingTransaction, ModuleApi

from synapse_bum import audit
from synapse_bum.after_restore import owed, position, seen
from synapse_bum.after_restore.closing_again import NotClosedError, close_again, where_it_failed
from synapse_bum.after_restore.lines import Line
from synapse_bum.after_restore.reading import Part, UnusableLogError, Whence, read_part
from synapse_bum.after_restore.source import Done, Logged, Source
from synapse_bum.after_restore.tables import AFTER_RESTORE
from synapse_bum.after_restore.waiting import wait_for_writer
from synapse_bum.config import SetupError
from synapse_bum.database import Database
from synapse_bum.database.error_text import first_line
from synapse_bum.database.leases import LEASES
from synapse_bum.database.schema import migrate
from synapse_bum.homeserver import before_listeners
from synapse_bum.homeserver.shared_objects import shared_object
from synapse_bum.homeserver.transaction_locks import take_alone

logger = logging.getLogger(__name__)

ACTOR: Final = "system:recovery"
"""Whom the audit names for what a replay did."""

REPLAY_LOCK: Final = 0x73796E62756D0C01
"""Key of the PostgreSQL advisory lock under which one process at a time brings the database up to date."""

_ALL: Final = 2**31


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Settings:
    """Where the log is.

    Attributes:
        path: of the file.
        begins_at: number of its first line, when an operator has said that those before are lost.
    """

    path: Path
    begins_at: int | None


def recovery_log(api: ModuleApi) -> "RecoveryLog":
    """Returns the log of this homeserver, in which features register their sources while modules are made."""
    return shared_object(api, RecoveryLog, lambda: RecoveryLog(api))


class RecoveryLog:
    """Knows the sources, and brings them up to date.

    Attributes:
        sources: of all features, in the order in which they came.
        settings: where the log is; None until the recovery module was made, and without it for ever.
    """

    def __init__(self, api: ModuleApi) -> None:
        self._api = api
        self.sources: list[Source] = []
        self.settings: Settings | None = None
        self._has_waited = False
        self._has_warned = False

    def add(self, source: Source) -> None:
        """Has a source's things logged and closed again; to be called in a module's `__init__`.

        Raises:
            SetupError: the database may be older than the log, and can't be brought up to date.
        """
        self.sources.append(source)
        if self.settings is not None:
            self._bring_up_to_date(self.settings, [source])

    def open(self, settings: Settings) -> None:
        """Has everything that is registered already brought up to date; what comes later is when it comes.

        Raises:
            SetupError: as `add`.
        """
        self.settings = settings
        self._bring_up_to_date(settings, self.sources)

    def _bring_up_to_date(self, settings: Settings, sources: Sequence[Source]) -> None:
        if before_listeners.is_in_memory(self._api):
            return
        try:
            known = before_listeners.run_before_listeners(self._api, "synapse_bum_recovery_known", self._prepare)
            if not settings.path.parent.is_dir():
                self._wait_once(settings.path)
                return
            # The file is read before the database is looked at for good: what another process writes meanwhile is owed
            # to the file before it stands in it.
            behind = min(known.seq_of(source.name) for source in sources)
            whence = Whence(
                seq=min(behind, known.last_seq),
                written=known.last_seq,
                written_id=known.end.line_id,
                position=known.end.position,
                server=self._api.server_name,
                begins_at=settings.begins_at,
            )
            part = read_part(settings.path, whence, may_be_empty=False)
            if part.torn:
                logger.info("%d lines of the recovery log %s were never finished", part.torn, settings.path)
            if part.is_empty:
                self._warn_of_new_log(settings.path, known.last_seq)
            if not part.lines:
                return
            done = before_listeners.run_before_listeners(
                self._api, "synapse_bum_recovery_replay", lambda txn: self._replay(txn, part, sources)
            )
        except UnusableLogError as error:
            raise SetupError(str(error)) from None
        except NotClosedError as error:
            where = where_it_failed(
                error,
                lambda func: before_listeners.run_before_listeners(self._api, "synapse_bum_recovery_where", func),
            )
            raise _refusal(error.cause, where) from None
        except Exception as error:  # noqa: BLE001 - chained, what it quotes would be logged
            raise _refusal(error) from None
        if done is not None:
            logger.warning(
                "The database is older than the recovery log %s: it was restored. Brought up to date: %d changes",
                settings.path,
                len(done),
            )

    def _wait_once(self, path: Path) -> None:
        if self._has_waited:
            return
        if self._api.should_run_background_tasks():
            raise UnusableLogError(
                f"`config.log_path`: the folder {path.parent} is not there; it is not made. This process runs Synapse's"
                " background tasks and has to write there"
            )
        logger.info("The folder %s is not here: waiting until another process has read the recovery log", path.parent)
        wait_for_writer(
            path,
            lambda: before_listeners.run_before_listeners(
                self._api, "synapse_bum_recovery_agreed", position.agreed_count
            ),
        )
        self._has_waited = True

    def _warn_of_new_log(self, path: Path, last_seq: int) -> None:
        if self._has_warned or not self._api.should_run_background_tasks():
            return
        self._has_warned = True
        if last_seq:
            logger.warning(
                "`config.log_begins_at` says that the recovery log %s, to which %d lines were written, is lost: what"
                " was closed after the last backup is not closed again, and a new log is begun. Remove the option",
                path,
                last_seq,
            )
            return
        logger.warning(
            "The database knows of no recovery log, and %s is not there or empty: the first one is begun. If there was"
            " one (the backup is from before this module, the disk is not mounted), what was closed is open now: stop"
            " all processes of Synapse, put the file there, and restore the backup once more",
            path,
        )

    def _prepare(self, txn: LoggingTransaction) -> position.Known:
        database = Database(self._api)
        components = [component for source in self.sources for component in source.components]
        migrate(txn, database.dialect, [AFTER_RESTORE, LEASES, audit.AUDIT, *components])
        return position.known(txn)

    def _replay(self, txn: LoggingTransaction, part: Part, sources: Sequence[Source]) -> list[Done] | None:
        """Closes again what the log says; None when the database knew it all."""
        take_alone(txn, REPLAY_LOCK)
        known = position.known(txn)
        own = owed.owed_ids(txn)
        is_restored = any(line.seq > known.last_seq and line.line_id not in own for line in part.lines)
        done: list[Done] = []
        found_any = False
        for source in sources:
            logged = last_words(part.lines, source, known.seq_of(source.name), own)
            seen.note_ends(txn, source, logged.values())
            if is_restored and source.ends_unknown:
                for key in seen.unknown_keys(txn, source):
                    logged.setdefault(key, Logged(key, None, self._api.get_current_time_msec()))
            if logged:
                found_any = True
                done += close_again(txn, source, list(logged.values()))
        if not found_any and not is_restored:
            # Lines of ours that were not marked yet; whoever writes the log does that.
            return None
        for each in done:
            self._audit(txn, each)
        for source in sources:
            # The backup knows what was told before it. What is so now is told anew, lest an end be overlooked.
            changes, _ = seen.take_changes(txn, source, _ALL)
            owed.owe(txn, source.name, changes, self._api.get_current_time_msec())
        owed.mark_found(txn, own & {line.line_id for line in part.lines})
        others = {line.source for line in part.lines} - {source.name for source in self.sources}
        position.leave_behind(txn, known.last_seq, others)
        found = position.End(part.last_seq, part.last_id, part.end)
        end = max(known.end, found, key=lambda each: each.seq)
        position.advance(txn, known.last_seq, end, [source.name for source in sources])
        return done

    def _audit(self, txn: LoggingTransaction, done: Done) -> None:
        audit.append(
            txn,
            audit.Entry(
                ts=self._api.get_current_time_msec(),
                actor=ACTOR,
                action=done.action,
                target=done.target,
                old=done.old,
                new=done.new,
                reason="The database was restored from a backup",
            ),
        )


def _refusal(error: Exception, where: str = "") -> SetupError:
    # The places alone: what databases say quotes rows.
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("Whether the database was restored can't be told: %s\n%s", type(error).__name__, places)
    return SetupError(
        "the recovery log could not be brought into the database, so what was closed may be open; nothing is served:"
        f" {first_line(error)}{where}"
    )


def last_words(lines: Sequence[Line], source: Source, known_seq: int, own: frozenset[str]) -> dict[str, Logged]:
    """Find the last state of each thing that the database does not know. Pure.

    That something is there again, of a source that tells only ends, says nothing without its end: a backup that knows
    that one may hold what came after it.

    Args:
        lines: of the log, in their order.
        source: whose things.
        known_seq: up to which line the database knows them.
        own: ids of lines that the database itself still owes to the log, so it knows them.
    """
    found: dict[str, Logged] = {}
    for line in lines:
        if line.source != source.name or line.seq <= known_seq or line.line_id in own:
            continue
        if line.state is None or line.key in found or not source.tells_only_ends:
            found[line.key] = Logged(line.key, line.state, line.ts, line.seq)
    return found
