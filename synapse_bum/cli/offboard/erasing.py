"""Erasing: one step after the other, each noted when nothing is left. What was done before a kill is not done again."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.backup.runs import own_runs
from synapse_bum.cli.offboard import folders, rules, surroundings, work_folder
from synapse_bum.cli.offboard.buckets import Bucket, bucket_settings
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Erasure, Journal, JournalFile, Step
from synapse_bum.cli.offboard.planning import (
    BACKUPS,
    BUCKET,
    BY_HAND,
    CONFIGURATION,
    DATABASE,
    FOLDER,
    LOGS,
    LOOK,
    WORK,
    is_of,
    local_folder,
    place_of_database,
    refuse_other_closing,
    unclear_work,
    work_steps,
)
from synapse_bum.cli.offboard.small_files import rotated
from synapse_bum.cli.offboard.surroundings import on_machine
from synapse_bum.homeserver.database_copying import PostgresDatabase, scratch_name
from synapse_bum.homeserver.media_ownership import Ownership
from synapse_bum.homeserver.offline_database import (
    OfflineDatabase,
    OfflineDatabaseError,
    OfflineTransaction,
    database_settings,
)
from synapse_bum.homeserver.whole_database import Inventory, drop_all, has_database, inventory

_MS: Final = 1_000


class Eraser:
    """Does steps, and looks what they have left."""

    def __init__(
        self,
        journal: Journal,
        homeserver: Mapping[str, Any],
        repository: Repository | None,
        config_files: Sequence[Path],
        work_dirs: Sequence[Path],
    ) -> None:
        """Touch nothing yet.

        Args:
            journal: of the erasing.
            homeserver: homeserver.yaml; empty when only the configuration itself is still to be erased.
            repository: of the backups; None when they need not be reached.
            config_files: homeserver.yaml, in the order of `-c`.
            work_dirs: in which backups are put together, beside the usual folders.
        """
        self._journal = journal
        self._config_files = config_files
        self._work_dirs = work_dirs
        self._homeserver = homeserver
        self._given_repository = repository
        self._erase: Mapping[str, Callable[[Step], None]] = {
            BACKUPS: self._erase_backups,
            BY_HAND: lambda _step: None,
            WORK: lambda step: work_folder.erase(Path(step.paths[0])),
            BUCKET: self._erase_bucket,
            FOLDER: self._erase_folder,
            DATABASE: self._erase_database,
            LOGS: _erase_logs,
            CONFIGURATION: _erase_files,
        }
        self._left: Mapping[str, Callable[[Step], int]] = {
            BACKUPS: self._left_backups,
            BY_HAND: lambda _step: 0,
            WORK: lambda step: len(work_folder.files_in(Path(step.paths[0]))),
            BUCKET: lambda step: self._bucket(step).left(),
            FOLDER: lambda step: len(folders.left_in(Path(step.paths[0]))),
            DATABASE: self._left_in_database,
            LOGS: _left_logs,
            CONFIGURATION: _left_files,
        }

    def do(self, step: Step) -> None:
        """Does a step, or what is still to be done of it.

        Raises:
            OffboardError: something is left, or is not ours any more.
            BackupError: the backups can't be reached.
            OfflineDatabaseError: the database refused.
            OSError: a file can't be removed.
        """
        for mount in step.mounts:
            if not Path(mount).is_mount():
                raise OffboardError(
                    f"{step.what}: {mount} is not mounted any more: mount it, and start the command again"
                )
        self._erase[step.kind](step)
        left = self.left(step)
        if left:
            raise OffboardError(f"{step.what}: {left} are left; see what holds them, and start the command once more")

    def left(self, step: Step) -> int:
        """How much is left of what a step erases.

        Raises:
            OffboardError: that can't be looked at; the other exceptions of `do` too.
        """
        return self._left[step.kind](step)

    def new_steps(self, erasure: Erasure) -> tuple[Step, ...]:
        """Steps for what killed backups have left since the plan was made, in folders where nothing lay.

        Raises:
            OSError: a folder can't be read; or BackupError, see `work_folder.sort_out`.
        """
        known = {path for step in erasure.steps if step.kind == WORK for path in step.paths}
        return tuple(work_steps([folder for folder in self._work().ours if str(folder) not in known]))

    def stays(self, erasure: Erasure) -> tuple[str, ...]:
        """What the report names as left: what the plan has named, and what has come since.

        Raises:
            OSError: see `new_steps`.
        """
        going = [Path(path) for step in erasure.steps for path in step.paths]
        around = on_machine(self._journal.server_name, self._config_files, going, surroundings.ROOT)
        return tuple(dict.fromkeys([*erasure.left, *map(unclear_work, self._work().unclear), *around]))

    def _work(self) -> work_folder.WorkFolders:
        return work_folder.sort_out(
            self._journal.server_name, self._work_dirs, self._config_files, (), work_folder.USUAL
        )

    def _repository(self, step: Step) -> Repository:
        if self._given_repository is None:
            raise OffboardError("the backups are still needed: name them with --repository and --password-file")
        if not is_of(step, self._given_repository):
            raise OffboardError(
                f"the erasing has begun with the {step.what}, and --repository names another one: erase that by hand"
            )
        return self._given_repository

    def _erase_backups(self, step: Step) -> None:
        repository = self._repository(step)
        if _is_gone(repository):
            return
        # A run that was killed has left its lock.
        repository.unlock()
        # The list is made anew: somebody else's snapshots that have come meanwhile end this.
        runs = own_runs(repository.snapshots(), self._journal.server_name)
        rules.refuse_backups_after(self._journal, runs)
        ids = [snapshot_id for run in runs for snapshot_id in run.snapshot_ids]
        if ids:
            repository.forget(ids)
        repository.prune()

    def _left_backups(self, step: Step) -> int:
        repository = self._repository(step)
        return 0 if _is_gone(repository) else len(repository.snapshots())

    def _erase_bucket(self, step: Step) -> None:
        bucket = self._bucket(step)
        with self._ownership() as ownership:
            bucket.erase(ownership)

    def _erase_folder(self, step: Step) -> None:
        with self._ownership() as ownership:
            folders.erase(Path(step.paths[0]), ownership)

    def _bucket(self, step: Step) -> Bucket:
        found = next((one for one in map(Bucket, bucket_settings(self._homeserver)) if one.shown == step.what), None)
        if found is None:
            raise OffboardError(f"homeserver.yaml does not name the {step.what} any more, which is not erased yet")
        return found

    @contextmanager
    def _ownership(self) -> Iterator[Ownership | None]:
        """Who knows which files are ours; None when the database is erased."""
        settings = database_settings(self._homeserver)
        if settings.get("name") == "sqlite3" and not Path(settings["args"]["database"]).exists():
            yield None
            return
        database = OfflineDatabase(settings)
        with database.transaction() as txn:
            self._refuse_other_place(txn)
            if inventory(txn, is_postgres=database.is_postgres).is_empty:
                yield None
                return
            self._refuse_other_database(txn)
            yield Ownership(txn)

    def _refuse_other_place(self, txn: OfflineTransaction) -> None:
        """An empty database may be another one: then the one that was closed would be taken for erased."""
        erasure = self._journal.erasure
        known = {step.place for step in erasure.steps if step.place} if erasure is not None else set()
        if known and place_of_database(database_settings(self._homeserver), txn) not in known:
            raise OffboardError(
                f"homeserver.yaml names another database than {', '.join(known)}, with which the erasing has begun: put"
                " that back"
            )

    def _refuse_other_database(self, txn: OfflineTransaction) -> None:
        try:
            refuse_other_closing(txn, self._journal)
        except (OffboardError, OfflineDatabaseError) as error:
            raise OffboardError(
                "the database is not the one that was closed: something was made or restored there since the erasing"
                " has begun. See what it is, drop it yourself, and start the command once more"
            ) from error

    def _erase_database(self, step: Step) -> None:
        if step.paths:
            self._erase_sqlite([Path(path) for path in step.paths])
            return
        settings = database_settings(self._homeserver)
        # With a copy of everything in it, when a verification was killed.
        PostgresDatabase(settings).drop_scratch(scratch_name(self._journal.server_name))
        database = OfflineDatabase(settings)
        with database.transaction() as txn:
            self._refuse_other_place(txn)
            found = inventory(txn, is_postgres=True)
            if found.is_empty:
                return
            if found.strangers:
                raise OffboardError(f"the database holds {found.strangers[0]} of another application by now")
            self._refuse_other_database(txn)
            if database.others(txn):
                raise OffboardError("others are at the database, by the same user: stop them")
            drop_all(txn, found)
            txn.keep()

    def _erase_sqlite(self, files: list[Path]) -> None:
        if files[0].exists():
            database = OfflineDatabase(database_settings(self._homeserver))
            with database.transaction() as txn:
                self._refuse_other_database(txn)
                if database.others(txn):
                    raise OffboardError("others have the database open: stop them")
        # The database before its log: without that it might not say any more that it was closed.
        for path in files:
            path.unlink(missing_ok=True)

    def _left_in_database(self, step: Step) -> int:
        if step.paths:
            return _left_files(step)
        with OfflineDatabase(database_settings(self._homeserver)).transaction() as txn:
            self._refuse_other_place(txn)
            found: Inventory = inventory(txn, is_postgres=True)
            scratch = has_database(txn, scratch_name(self._journal.server_name))
        return len(found.tables) + len(found.sequences) + len(found.functions) + int(scratch)


def erase_all(file: JournalFile, journal: Journal, erasure: Erasure, eraser: Eraser) -> tuple[Journal, Erasure]:
    """Do all steps that are not done.

    Args:
        file: of the journal.
        journal: with this erasure.
        erasure: that has begun.
        eraser: does them.

    Returns:
        The journal and the erasure, with all steps done.

    Raises:
        OffboardError: see `Eraser.do`, with the other errors there. What is done is noted.
    """
    for number, step in enumerate(erasure.steps):
        if step.done_ts is not None:
            continue
        if step.kind == LOOK:
            journal, erasure = _look(file, journal, erasure, eraser)
        else:
            eraser.do(step)
        done = attr.evolve(step, done_ts=int(time.time() * _MS))
        erasure = attr.evolve(erasure, steps=(*erasure.steps[:number], done, *erasure.steps[number + 1 :]))
        journal = attr.evolve(journal, erasure=erasure)
        file.write(journal)
        print(
            f"{step.what}: erased" if step.kind != LOOK else "looked at everything once more: nothing is left",
            flush=True,
        )
    return journal, erasure


def _look(file: JournalFile, journal: Journal, erasure: Erasure, eraser: Eraser) -> tuple[Journal, Erasure]:
    """Look at everything; what is there again is to be erased again.

    Raises:
        OffboardError: something is there; the journal says so.
    """
    found = {
        number: left
        for number, step in enumerate(erasure.steps)
        if step.kind not in {LOOK, CONFIGURATION} and (left := eraser.left(step))
    }
    new = eraser.new_steps(erasure)
    if not found and not new:
        return journal, attr.evolve(erasure, left=eraser.stays(erasure))
    again = tuple(
        attr.evolve(step, done_ts=None) if number in found else step for number, step in enumerate(erasure.steps)
    )
    file.write(attr.evolve(journal, erasure=attr.evolve(erasure, steps=(*new, *again))))
    here = [
        *((erasure.steps[number], left) for number, left in found.items()),
        *((one, one.counted["files"]) for one in new),
    ]
    named = "; ".join(f"{step.what} ({left})" for step, left in here)
    raise OffboardError(
        f"something has come back after it was erased: {named}. Stop what has brought it (Synapse, a timer of backups),"
        " and start the command once more: it erases that again"
    )


def _is_gone(repository: Repository) -> bool:
    """Whether somebody has deleted the repository itself: can be told of a folder, whose file system is mounted."""
    folder = local_folder(repository)
    return folder is not None and not os.path.lexists(folder)


def _erase_files(step: Step) -> None:
    for path in map(Path, step.paths):
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
        elif not any(path.iterdir()):
            path.rmdir()


def _left_files(step: Step) -> int:
    return sum(1 for path in step.paths if os.path.lexists(path))


def _erase_logs(step: Step) -> None:
    for path in _logs_now(step):
        path.unlink(missing_ok=True)


def _left_logs(step: Step) -> int:
    return len(_logs_now(step))


def _logs_now(step: Step) -> list[Path]:
    """The logs with what has become of them since the erasing was planned."""
    paths = [Path(path) for path in step.paths]
    there = [path for path in paths if os.path.lexists(path)]
    return list(dict.fromkeys([*there, *(found for path in paths for found in rotated(path))]))
