"""What there is to erase: looked at, counted, and refused where somebody else has a part in it. Nothing is changed."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attr

from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.backup.runs import Run, own_runs
from synapse_bum.cli.backup.sources import Sources, read_sources, signing_key_of
from synapse_bum.cli.offboard import folders, rules, surroundings, work_folder
from synapse_bum.cli.offboard.buckets import Bucket, bucket_settings, is_bucket
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.journal import Journal, Step
from synapse_bum.cli.offboard.mounts import mounts_of
from synapse_bum.cli.offboard.report import server_key_in
from synapse_bum.cli.offboard.small_files import SmallFiles, recovery_log_of, sort_out, unknown_beside
from synapse_bum.cli.offboard.surroundings import exports_known, on_machine, out_of_sight
from synapse_bum.cli.stopped_synapse import refuse_while_synapse_runs
from synapse_bum.contract_end import closing_note, read_closing
from synapse_bum.deletion.holds import holds_in_force
from synapse_bum.homeserver.database_copying import scratch_name
from synapse_bum.homeserver.dump_contents import read_counts
from synapse_bum.homeserver.media_ownership import Ownership
from synapse_bum.homeserver.offline_database import (
    OfflineDatabase,
    OfflineDatabaseError,
    OfflineTransaction,
    database_settings,
)
from synapse_bum.homeserver.whole_database import beside, has_database, inventory, place_of, size_of, sqlite_files

BACKUPS: Final = "backups"
WORK: Final = "work"
BUCKET: Final = "bucket"
FOLDER: Final = "folder"
DATABASE: Final = "database"
LOGS: Final = "logs"
LOOK: Final = "look"
BY_HAND: Final = "backups_by_hand"
CONFIGURATION: Final = "configuration"
"""Kinds of steps, in their order."""

_NEWEST: Final = ", the newest backup of "
_NAMED: Final = 5  # of many strangers


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Wanted:
    """What an operator has said beside the configuration.

    Attributes:
        config_files: homeserver.yaml, in the order of `-c`.
        included: more small files that go, and folders that go with all that is in them.
        left: names of what is left, because somebody else erases it.
        repository: of the backups; None when there are none.
        despite_holds: whether holds that are in force keep nothing.
        kept_files: of this command itself: its journal, its report, the password of the backups.
        work_dirs: in which backups are put together, beside the usual folders; what a killed one has left there goes.
    """

    config_files: tuple[Path, ...]
    included: tuple[Path, ...]
    left: tuple[str, ...]
    repository: Repository | None
    despite_holds: bool
    kept_files: tuple[Path, ...]
    work_dirs: tuple[Path, ...]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Plan:
    """What will be done.

    Attributes:
        steps: in their order.
        left: what is left, as the report says it.
        backups: what is known of them, as the report says it.
        out_of_sight: where nobody has looked, as the report says it.
        signing_key: the text of the server's signing key.
    """

    steps: tuple[Step, ...]
    left: tuple[str, ...]
    backups: str
    out_of_sight: tuple[str, ...]
    signing_key: str = attr.ib(repr=False)

    @property
    def fingerprint(self) -> str:
        """The same for the same plan. A database at rest is tidied by its server: its bytes do not count."""
        steps = [attr.asdict(step) for step in self.steps]
        for step in steps:
            if step["kind"] == DATABASE:
                step["counted"] = {name: number for name, number in step["counted"].items() if name != "bytes"}
        shown = [steps, self.left, self.backups, self.out_of_sight]
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def make_plan(homeserver: Mapping[str, Any], journal: Journal, wanted: Wanted, now_ms: int) -> Plan:
    """Look at everything.

    Args:
        homeserver: homeserver.yaml.
        journal: of a closing that was done.
        wanted: what else was said.
        now_ms: ms since the epoch.

    Raises:
        OffboardError: something belongs to somebody else, or nobody has said what becomes of it.
        BackupError: the backups can't be looked at, or not all of them are this server's.
        SynapseRunsError: Synapse is not stopped.
        OfflineDatabaseError: the database can't be read.
        OSError: a folder can't be read.
    """
    _refuse_missing(wanted.included)
    sources = read_sources(homeserver, [*wanted.config_files, *wanted.included])
    media = list(dict.fromkeys([*sources.providers, sources.media]))
    _refuse_kept_inside(media, wanted.kept_files)
    left = list(_left_providers(sources, wanted.left))
    runs = [] if wanted.repository is None else _runs(wanted.repository, journal)
    steps = [] if wanted.repository is None else [_backups(wanted.repository, runs)]
    run_ids = [run.run_id for run in runs]
    work = work_folder.sort_out(sources.server_name, wanted.work_dirs, wanted.config_files, run_ids, work_folder.USUAL)
    steps += work_steps(work.ours)
    left += map(unclear_work, work.unclear)
    settings = database_settings(homeserver)
    database = OfflineDatabase(settings)
    with database.transaction() as txn:
        step = _database(database, settings, txn, journal, now_ms)
        if step.counted["holds"] and not wanted.despite_holds:
            raise OffboardError(
                f"{step.counted['holds']} holds are in force: what is on hold must be kept. Hand it over to who has"
                " asked for it, and say so with --despite-holds; the report will count them"
            )
        ownership = Ownership(txn)
        buckets = {bucket.shown: bucket for bucket in map(Bucket, bucket_settings(homeserver))}
        steps += [_bucket(bucket, ownership) for bucket in buckets.values()]
        folders.refuse_missing(sources.media, step.counted["local_media"])
        steps += [_folder(folder, ownership) for folder in media]
        left += _beside(txn, database, journal)
    steps.append(step)
    small = _small_files(homeserver, sources, wanted, [Path(path) for one in steps for path in one.paths])
    left += [f"file {path}" for path in small.elsewhere]
    gone = [path for path in small.configuration if str(path) not in wanted.left]
    left += [f"file {path}" for path in small.configuration if path not in gone]
    steps.append(_files(LOGS, "log files", small.logs))
    steps.append(Step(LOOK, "all places, looked at once more", (), {}))
    steps.append(_files(CONFIGURATION, "keys, secrets and configuration", [*gone, *small.folders]))
    going = [Path(path) for one in steps for path in one.paths]
    _refuse_kept_inside(going, [*wanted.kept_files, *_local(wanted.repository)])
    known = [*going, *small.elsewhere, *small.configuration, *_of_this_command(wanted)]
    left += unknown_beside(wanted.config_files, known)
    left += on_machine(sources.server_name, wanted.config_files, going, surroundings.ROOT)
    steps = [attr.evolve(one, mounts=mounts_of(_reached(one, wanted.repository))) for one in steps]
    key_path = signing_key_of(homeserver, sources.server_name, wanted.config_files)
    return Plan(
        steps=tuple(steps),
        left=tuple(left),
        backups="erased" if wanted.repository else "there are none, as was said by the one who ordered the erasing",
        out_of_sight=tuple(out_of_sight(homeserver, step.counted["exports"])),
        signing_key=_signing_key(homeserver, key_path),
    )


def signing_key_text(homeserver: Mapping[str, Any], config_files: Sequence[Path]) -> str:
    """The text of the server's signing key.

    Raises:
        OffboardError: it can't be read.
    """
    name = str(homeserver.get("server_name"))
    return _signing_key(homeserver, signing_key_of(homeserver, name, config_files))


def _signing_key(homeserver: Mapping[str, Any], path: Path | None) -> str:
    try:
        text = str(homeserver["signing_key"]) if path is None else path.read_text(encoding="utf-8")
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise OffboardError(
            f"the server's signing key {path or ''} can't be read, and without it nobody can check the report: {error}"
        ) from None
    server_key_in(text)
    return text


def _left_providers(sources: Sources, left: Sequence[str]) -> Iterator[str]:
    for module in sources.elsewhere:
        if is_bucket(module):
            continue
        if module not in left:
            raise OffboardError(
                f"the storage provider {module} keeps copies that this command can't erase: erase them yourself, and"
                f" say so with --leave {module}; the report will name it"
            )
        yield f"copies of the storage provider {module}"


def _runs(repository: Repository, journal: Journal) -> Sequence[Run]:
    if not repository.exists():
        raise OffboardError(f"there is no repository at {repository.shown}: say --no-backups when there are none")
    repository.unlock()
    runs = own_runs(repository.snapshots(), journal.server_name)
    rules.refuse_backups_after(journal, runs)
    return runs


def _backups(repository: Repository, runs: Sequence[Run]) -> Step:
    counted = {"backups": len(runs), "snapshots": sum(len(run.snapshot_ids) for run in runs)}
    newest = f"{_NEWEST}{rules.shown_time(runs[-1].started_ts)}" if runs else ""
    return Step(BACKUPS, f"{_backups_in(repository)}{newest}", (), counted)


def is_of(step: Step, repository: Repository) -> bool:
    """Whether a step is about the backups in a repository. Pure."""
    return step.what.partition(_NEWEST)[0] == _backups_in(repository)


def _backups_in(repository: Repository) -> str:
    return f"restic repository {repository.shown}"


def work_steps(folders: Sequence[Path]) -> list[Step]:
    """What a backup or a verification has left that was killed: it holds all messages in clear.

    Raises:
        OSError: a folder can't be read.
    """
    steps = []
    for folder in folders:
        sizes = [path.lstat().st_size for path in work_folder.files_in(folder)]
        counted = {"files": len(sizes), "bytes": sum(sizes)}
        steps.append(Step(WORK, f"work folder of backups {folder}", (str(folder),), counted))
    return steps


def unclear_work(folder: Path) -> str:
    """A line of the report, for a folder of backups of which nobody can tell whose it is."""
    return (
        f"work folder of backups {folder}: a killed backup has left something, perhaps of this server, in clear; look"
        " whose it is, and name it with --work-dir or delete it"
    )


def _beside(txn: OfflineTransaction, database: OfflineDatabase, journal: Journal) -> Iterator[str]:
    if database.is_postgres:
        schemas, databases = beside(txn)
        yield from (f"schema {name} of the PostgreSQL database: look whether it is a copy" for name in schemas)
        own = scratch_name(journal.server_name)
        others = (name for name in databases if name != own)
        yield from (f"PostgreSQL database {name}, of the same role: look whether it is a copy" for name in others)


def _reached(step: Step, repository: Repository | None) -> list[Path]:
    """What must be mounted for a step."""
    return [*map(Path, step.paths), *(_local(repository) if step.kind == BACKUPS else ())]


def _bucket(bucket: Bucket, ownership: Ownership) -> Step:
    found = bucket.count(ownership)
    counted = {"objects": found.objects, "older_versions": found.older, "bytes": found.size_bytes}
    return Step(BUCKET, bucket.shown, (), counted)


def _folder(folder: Path, ownership: Ownership) -> Step:
    found = folders.count(folder, ownership)
    return Step(FOLDER, folders.shown(folder), (str(folder),), {"files": found.files, "bytes": found.size_bytes})


def _database(
    database: OfflineDatabase, settings: Mapping[str, Any], txn: OfflineTransaction, journal: Journal, now_ms: int
) -> Step:
    found = inventory(txn, is_postgres=database.is_postgres)
    if found.strangers:
        named = ", ".join(found.strangers[:_NAMED]) + (", ..." if len(found.strangers) > _NAMED else "")
        raise OffboardError(
            f"the database holds {len(found.strangers)} things of another application: {named}. Nothing is erased: move"
            " them out, or drop them yourself"
        )
    refuse_other_closing(txn, journal)
    refuse_while_synapse_runs(database, txn, now_ms)
    holds = len(holds_in_force(txn, now_ms)) if "synapse_bum_holds" in found.tables else 0
    exports = exports_known(txn) if "synapse_bum_audit" in found.tables else 0
    counted = {**read_counts(txn), "holds": holds, "exports": exports, "tables": len(found.tables)}
    if database.is_postgres:
        scratch = int(has_database(txn, scratch_name(journal.server_name)))
        counted = {**counted, "scratch_databases": scratch, "bytes": size_of(txn)}
        return Step(DATABASE, "PostgreSQL database", (), counted, place=place_of_database(settings, txn))
    path = Path(str(settings["args"]["database"])).absolute()
    # Where it is a link, the database itself first.
    files = list(dict.fromkeys([*sqlite_files(path.resolve()), *sqlite_files(path)]))
    size = sum(one.lstat().st_size for one in files if os.path.lexists(one))
    return Step(DATABASE, "SQLite database", tuple(map(str, files)), {**counted, "bytes": size})


def place_of_database(settings: Mapping[str, Any], txn: OfflineTransaction) -> str:
    """By what a database of PostgreSQL is told from others.

    Args:
        settings: of it.
        txn: in a transaction.
    """
    arguments = settings.get("args") or {}
    where = ":".join(str(arguments[name]) for name in ("host", "port") if arguments.get(name))
    return f"{place_of(txn)} at {where or 'the usual place'}"


def refuse_other_closing(txn: OfflineTransaction, journal: Journal) -> None:
    """Make sure that the database is the one that was closed, and as the journal says.

    Raises:
        OffboardError: it does not say so.
    """
    try:
        closing = read_closing(txn)
    except Exception as error:
        raise OfflineDatabaseError("the database does not say that it was closed; nothing was erased") from error
    rules.refuse_another_closing(journal, closing)


def _small_files(homeserver: Mapping[str, Any], sources: Sources, wanted: Wanted, taken: Sequence[Path]) -> SmallFiles:
    key_path = signing_key_of(homeserver, sources.server_name, wanted.config_files)
    recovery_log = recovery_log_of(homeserver)
    pid_file = homeserver.get("pid_file")
    # What is too large for a backup is the homeserver's all the same.
    large = [path for path in sources.left_out if path.is_file()]
    pid = [Path(pid_file).absolute()] if pid_file else []
    return sort_out(
        [*sources.files, *large, *([key_path] if key_path else []), *pid],
        [*sources.logs, *([closing_note(recovery_log)] if recovery_log else [])],
        wanted.config_files,
        key_path,
        wanted.included,
        taken,
    )


def _files(kind: str, what: str, paths: Sequence[Path]) -> Step:
    sizes = [path.lstat().st_size for path in paths if os.path.lexists(path) and not path.is_dir()]
    return Step(kind, what, tuple(map(str, paths)), {"files": len(sizes), "bytes": sum(sizes)})


def _of_this_command(wanted: Wanted) -> Iterator[Path]:
    """What this command works with, and does not erase: the operator keeps it, or it is nothing any more."""
    for path in wanted.kept_files:
        yield from (path, *(path.with_name(path.name + end) for end in (".lock", ".new")))
    yield from _local(wanted.repository)


def _local(repository: Repository | None) -> list[Path]:
    folder = None if repository is None else local_folder(repository)
    return [] if folder is None else [folder]


def local_folder(repository: Repository) -> Path | None:
    """The folder of a repository that is one on this machine."""
    return None if ":" in repository.location else Path(repository.location)


def _refuse_missing(included: Sequence[Path]) -> None:
    for path in included:
        if not os.path.lexists(path):
            raise OffboardError(f"--include {path}: is not there")


def _refuse_kept_inside(going: Sequence[Path], kept: Sequence[Path]) -> None:
    for file in kept:
        if not file.parent.is_dir():
            raise OffboardError(f"{file}: there is no such folder")
        for path in going:
            if file == path or file.resolve().is_relative_to(path.resolve()):
                raise OffboardError(f"{file} would be erased with {path}, and is still needed: it must lie elsewhere")
