"""What the command does: a backup, a verification, a restore; what it prints, and what it tells Prometheus."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from synapse_bum.cli.backup.database_files import files_of_the_user
from synapse_bum.cli.backup.failure import BackupError, FilesLostError
from synapse_bum.cli.backup.ownership import give_back
from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.backup.restoring import fetch_run, load, new_folder
from synapse_bum.cli.backup.runs import Run, newest_whole, own_runs, refuse_future, server_of
from synapse_bum.cli.backup.saving import Done, clear, lacking, last_run, save
from synapse_bum.cli.backup.sources import Sources, read_sources, refuse_gaps, server_name_in
from synapse_bum.cli.backup.steps import next_steps, over_age, without_files
from synapse_bum.cli.backup.told import telling
from synapse_bum.cli.backup.verifying import drop_left_database, verify
from synapse_bum.cli.backup.workroom import Workroom, default_work_dir, workroom
from synapse_bum.cli.backup.written_here import refuse_runs_of_others
from synapse_bum.cli.check.configuration import files_of, read_configuration
from synapse_bum.homeserver.database_copying import PostgresDatabase
from synapse_bum.homeserver.offline_database import OfflineDatabaseError, database_settings

_MB: Final = 1_000_000
_MS: Final = 1_000


def back_up(options: argparse.Namespace) -> None:
    """Makes a backup and deletes those that are too old.

    Raises:
        FilesLostError: it was made, but lacks files; then none is deleted.
        BackupError: it could not be made; the other exceptions of `saving.save` too.
    """
    with telling(options.metrics_file, "last_run") as told:
        homeserver = read_configuration(options.config_path)
        told.server = server_name_in(homeserver)
        with workroom(_work_dir(options, told.server)) as room:
            config_files = files_of(options.config_path)
            small = [*config_files, *_small_files(options), *files_of_the_user(homeserver, os.environ, _home())]
            sources = read_sources(homeserver, small, folders_may_be_absent=True)
            refuse_gaps(sources, homeserver, config_files)
            repository = _repository(options, room.cache)
            _open(options, repository)
            runs = own_runs(repository.snapshots(), sources.server_name)
            refuse_future(runs, _now_ms())
            if not options.take_over:
                refuse_runs_of_others(runs, room.written.run_ids())
            try:
                drop_left_database(_server(homeserver, None), sources.server_name)
                done = save(homeserver, config_files, sources, room, repository, options.lost_files)
            except Exception:
                # Nothing is kept longer than it may be because backups fail. What has failed first is what is said.
                with suppress(BackupError):
                    clear(_repository(options, None), sources.server_name, options.keep_days)
                raise
            try:
                kept = clear(repository, sources.server_name, options.keep_days)
            except BackupError as error:
                if not done.lacks_files:
                    told.tell(last_success_timestamp_seconds=time.time())
                raise BackupError(f"{done.run.run_id} was saved, but no older backup deleted: {error}") from None
            values = {
                "duration_seconds": done.seconds,
                "size_bytes": done.saved.size_bytes,
                "kept_runs": len(kept),
                "oldest_timestamp_seconds": kept[0].started_ts / _MS,
            }
            if done.lacks_files:
                told.tell(missing_files=len(done.missing.lost), **values)
                raise FilesLostError(lacking(done, sources))
            _say_done(sources, done, kept)
            lost = {"missing_files": 0, "lost_files": len(done.missing.lost)}
            told.tell(last_success_timestamp_seconds=time.time(), **lost, **values)


def _home() -> Path:
    """Of the user; a place where nothing is for one who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(os.devnull)


def _open(options: argparse.Namespace, repository: Repository) -> None:
    if options.init:
        if repository.exists():
            raise BackupError(f"--init: there is a repository at {repository.shown} already")
        repository.init()
    _must_exist(repository)
    repository.unlock()


def _say_done(sources: Sources, done: Done, kept: Sequence[Run]) -> None:
    for module in sources.elsewhere:
        print(f"WARNING files that only {module} has are not in the backup: {done.missing.elsewhere} of ours")
    if done.missing.lost:
        print(f"WARNING {len(done.missing.lost)} files of users are lost, for example {done.missing.lost[0]}")
    for path, reason in sources.left_out.items():
        print(f"WARNING {path} {reason}, and is not in the backup")
    counts = done.manifest.contents.counts
    print(
        f"{_time(time.time())} ok: backup {done.run.run_id} of {sources.server_name} in {done.seconds:.0f} s:"
        f" {counts['users']} users, {counts['events']} events, {counts['local_media']} files of ours,"
        f" {done.saved.size_bytes / _MB:.1f} MB, {done.saved.added_bytes / _MB:.1f} MB of it new;"
        f" {len(kept)} backups kept, the oldest of {_time(kept[0].started_ts / _MS)}"
    )


def prove(options: argparse.Namespace) -> None:
    """Verifies the last backup.

    Raises:
        BackupError: it can't be used; the other exceptions of `verifying.verify` too.
    """
    with telling(options.metrics_file, "last_verify") as told:
        homeserver = read_configuration(options.config_path)
        told.server = server_name_in(homeserver)
        with workroom(_work_dir(options, told.server)) as room:
            _prove(options, homeserver, told.server, room)
        told.tell(last_verify_success_timestamp_seconds=time.time())


def _prove(options: argparse.Namespace, homeserver: dict[str, Any], name: str, room: Workroom) -> None:
    server = _server(homeserver, options.database)
    drop_left_database(server, name)
    repository = _repository(options, room.cache)
    _must_exist(repository)
    repository.unlock()
    run = last_run(repository, name)
    began = time.monotonic()
    verified = verify(repository, run, room, server, options.read_data)
    print(
        f"{_time(time.time())} ok: backup {run.run_id} of {name} restored and started in"
        f" {time.monotonic() - began:.0f} s: {verified.messages} messages and {verified.files} files served as they"
        f" were, {verified.manifest.contents.counts['events']} events counted"
    )
    if not (verified.messages and verified.files):
        print("WARNING there was no message or no file to ask for: send one, so that the next verification can")
    if verified.manifest.lost:
        print(f"WARNING {len(verified.manifest.lost)} files of the database are not in this backup")


def bring_back(options: argparse.Namespace) -> None:
    """Restores a backup and says what to do next.

    Raises:
        BackupError: nothing was restored, or the place is not empty; the other exceptions of `restoring.load` too.
    """
    homeserver = read_configuration(options.config_path) if options.config_path else {}
    target = _target(homeserver, options.database)
    configured = server_name_in(homeserver) if homeserver else None
    with workroom(_work_dir(options, configured)) as room:
        repository = _repository(options, room.cache)
        _must_exist(repository)
        snapshots = repository.snapshots()
        name = configured or server_of(snapshots)
        runs = own_runs(snapshots, name)
        if options.run is None:
            refuse_future(runs, _now_ms())
        run = _chosen(runs, options.run, name)
        if target is not None:
            target.refuse_unless_empty()
        with new_folder(options.restore) as folder:
            manifest = fetch_run(repository, run, folder)
            load(folder, manifest, target)
            left = give_back(folder, options.restore.absolute(), manifest.owned, manifest.places)
        print(f"{_time(time.time())} ok: backup {run.run_id} of {name} restored to {options.restore}")
        folder = options.restore.absolute()
        warnings = (*left, *without_files(manifest, runs), *over_age(folder, manifest, target, _now_ms()))
        for line in (*warnings, *next_steps(folder, manifest)):
            print(line)


def _chosen(runs: Sequence[Run], run_id: str | None, name: str) -> Run:
    whole = {run.run_id: run for run in runs if run.is_whole}
    run = newest_whole(runs) if run_id is None else whole.get(run_id)
    if run is None:
        raise BackupError(f"there is no such backup of {name}; there are: {', '.join(whole) or 'none'}")
    return run


def _repository(options: argparse.Namespace, cache: Path | None) -> Repository:
    location = options.repository
    if location is None:
        try:
            location = options.repository_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BackupError(f"--repository-file {options.repository_file}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise BackupError(f"--repository-file {options.repository_file}: is no UTF-8 text") from None
    if not location:
        raise BackupError("the location of the repository is empty")
    if ":" not in location:
        location = str(Path(location).absolute())
    return Repository(location, options.password_file.absolute(), cache)


def _work_dir(options: argparse.Namespace, server_name: str | None) -> Path:
    named: Path | None = options.work_dir
    return default_work_dir(server_name) if named is None else named


def _must_exist(repository: Repository) -> None:
    if not repository.exists():
        raise BackupError(f"there is no repository at {repository.shown}: --init makes one, once")


def _server(homeserver: dict[str, Any], conninfo: str | None) -> PostgresDatabase | None:
    """Where scratch databases are made; None where none is needed."""
    if conninfo is not None:
        return PostgresDatabase.from_conninfo(conninfo)
    settings = database_settings(homeserver)
    return PostgresDatabase(settings) if settings.get("name") == "psycopg2" else None


def _target(homeserver: dict[str, Any], conninfo: str | None) -> PostgresDatabase | None:
    """The database to restore into; None when none is named."""
    if conninfo is None and not homeserver:
        return None
    try:
        return _server(homeserver, conninfo)
    except OfflineDatabaseError:
        return None


def _small_files(options: argparse.Namespace) -> Iterator[Path]:
    """What `--include` names; never what opens the repository: it would lie in what it opens."""
    keys = {path.resolve() for path in (options.password_file, options.repository_file) if path is not None}
    for path in options.include:
        if not path.exists():
            raise BackupError(f"--include {path}: is not there")
        found = sorted(_files_below(path)) if path.is_dir() else [path]
        yield from (one for one in found if one.resolve() not in keys)


def _files_below(folder: Path) -> Iterator[Path]:
    """What vanishes meanwhile is passed over; what can't be read would be missing in the backup."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise BackupError(f"--include {error.filename}: can't be read: {error.strerror}")

    for above, _, names in os.walk(folder, onerror=refuse):
        yield from (path for name in names if (path := Path(above, name)).is_file())


def _now_ms() -> int:
    return int(time.time() * _MS)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
