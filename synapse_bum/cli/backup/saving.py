"""One backup, step by step: the database, what else is put together, the media, and last the logs of what was deleted.

Files reach the media store before their rows the database, and rows are read first: each row of the dump has its file,
or it was deleted while the backup ran, and then the log says so, which is copied last.
"""

import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attr

from synapse_bum import __version__
from synapse_bum.cli.backup.dumping import Dumped, dump
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.logs import cut_to_whole_lines, refuse_lost_logs
from synapse_bum.cli.backup.manifest import Manifest, Stored, places_of
from synapse_bum.cli.backup.ownership import Owned, owned, with_folders_above
from synapse_bum.cli.backup.restic import Repository, Saved
from synapse_bum.cli.backup.runs import (
    HOST,
    LACKS,
    Part,
    Run,
    new_run_id,
    newest_whole,
    own_runs,
    refuse_future,
    tags_of,
    to_forget,
)
from synapse_bum.cli.backup.sources import Sources, signing_key_of
from synapse_bum.cli.backup.stored_files import Missing, are_given_up, look_for_files, really_lost
from synapse_bum.cli.backup.workroom import Workroom
from synapse_bum.homeserver.database_copying import living
from synapse_bum.homeserver.dump_contents import synapse_version
from synapse_bum.homeserver.offline_database import database_settings


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Done:
    """A backup that was made.

    Attributes:
        run: what stands in the repository.
        manifest: what it holds.
        saved: the first snapshot.
        seconds: how long it took.
        missing: what is not in it.
        lacks_files: whether some of that is known to nobody yet.
    """

    run: Run
    manifest: Manifest
    saved: Saved
    seconds: float
    missing: Missing
    lacks_files: bool


def save(
    homeserver: Mapping[str, Any],
    config_files: Sequence[Path],
    sources: Sources,
    room: Workroom,
    repository: Repository,
    lost_files: int,
) -> Done:
    """Make a backup.

    Args:
        homeserver: homeserver.yaml.
        config_files: the files it was read from.
        sources: what belongs into it.
        room: where it is put together.
        repository: where it goes.
        lost_files: how many files of users may be missing.

    Raises:
        BackupError: it could not be made; whatever is in the repository is no whole run.
        OfflineDatabaseError: the database can't be read.
        OSError: the disk is full, or a file can't be read.
    """
    began = time.monotonic()
    _refuse_overlaps(sources, room, repository)
    now_ms = int(time.time() * 1000)
    run_id = new_run_id(now_ms, secrets.token_hex(4))
    for folder in (room.data, room.closing):
        folder.mkdir(mode=0o700, parents=True)
    is_postgres = database_settings(homeserver).get("name") == "psycopg2"
    target = room.data / ("database.dump" if is_postgres else "homeserver.db")
    dumped = dump(database_settings(homeserver), target, sources.folders, room.rows)
    refuse_lost_logs(homeserver, dumped.logs_written)
    files = _copy_all(sources.files, room.data, "config")
    paths = [room.data, *sources.saved_folders]
    host = {HOST: socket.gethostname()}
    saved = repository.save(paths, tags_of(sources.server_name, run_id, Part.DATA, host), sources.server_name)
    missing = _missing(database_settings(homeserver), sources, room)
    lacks_files = bool(sources.absent) or not are_given_up(missing, lost_files)
    refuse_lost_logs(homeserver, dumped.logs_written)
    logs = _copy_all([path for path in sources.logs if path.exists()], room.closing, "logs")
    for log in logs:
        cut_to_whole_lines(room.closing / log.copy)
    manifest = Manifest(
        run_id=run_id,
        server_name=sources.server_name,
        dumped_ts=now_ms,
        is_postgres=is_postgres,
        versions=_versions(dumped, repository),
        contents=dumped.contents,
        data_folder=str(room.data),
        media=str(sources.media),
        providers=tuple(map(str, sources.providers)),
        elsewhere=sources.elsewhere,
        files=files,
        logs=logs,
        config_files=tuple(str(path.absolute()) for path in config_files),
        signing_key=_text(signing_key_of(homeserver, sources.server_name, config_files)),
        lost=missing.lost,
        gone=missing.gone,
        rows=missing.rows,
        linked={str(link): str(to) for link, to in sources.linked.items()},
        owned=tuple(_owned(homeserver, sources, target.name, [*files, *logs])),
    )
    manifest.write(room.closing)
    sizes = {f"log:{Path(log.original).name}": str(log.size_bytes) for log in logs}
    seen = {**host, **manifest.versions, **sizes, **({LACKS: str(len(missing.lost))} if lacks_files else {})}
    # Before it is whole: whoever is killed now must know the run as his.
    room.written.add(run_id)
    repository.save([room.closing], tags_of(sources.server_name, run_id, Part.CLOSING, seen), sources.server_name)
    run = next((one for one in own_runs(repository.snapshots(), sources.server_name) if one.run_id == run_id), None)
    if run is None or not run.is_whole:
        raise BackupError("the backup is not in the repository as it was made: does another machine clear it?")
    return Done(run, manifest, saved, time.monotonic() - began, missing, lacks_files)


def clear(repository: Repository, server_name: str, keep_days: int) -> list[Run]:
    """Delete what is older than it may be and what was broken off.

    Returns:
        The runs that stay, the oldest first.

    Raises:
        BackupError: that did not work, the clock is wrong, or the repository holds what is not ours.
    """
    runs, now_ms = own_runs(repository.snapshots(), server_name), int(time.time() * 1000)
    refuse_future(runs, now_ms)
    gone = to_forget(runs, now_ms, keep_days)
    if gone:
        repository.forget([snapshot_id for run in gone for snapshot_id in run.snapshot_ids])
    # Also what a run has left that was broken off before it had a snapshot, or while it was being forgotten.
    repository.prune()
    return [run for run in runs if run not in gone]


def lacking(done: Done, sources: Sources) -> str:
    """Say what a backup lacks, and what to do. Pure."""
    lost = done.missing.lost
    example = f", for example {lost[0]}" if lost else ""
    absent = "".join(f"; there is no folder {folder}" for folder in sources.absent)
    if sources.absent:
        remedy = "If one is lost for good, make an empty one"
    else:
        remedy = f"If they are lost for good: --lost-files {len(lost)}"
    return (
        f"{len(lost)} files of the database are not on the disk{example} (of {done.missing.rows}, in"
        f" {sources.media}){absent}: is everything mounted? Everything else was saved as {done.run.run_id}, and no"
        f" older backup is deleted. {remedy}"
    )


def last_run(repository: Repository, server_name: str) -> Run:
    """The last backup that came to its end.

    Raises:
        BackupError: there is none, the clock is wrong, or the repository holds what is not ours.
    """
    runs = own_runs(repository.snapshots(), server_name)
    refuse_future(runs, int(time.time() * 1000))
    run = newest_whole(runs)
    if run is None:
        raise BackupError(f"there is no backup of {server_name} in {repository.shown} yet")
    return run


def _missing(settings: Mapping[str, Any], sources: Sources, room: Workroom) -> Missing:
    """What is not where Synapse looks, now that it was read."""
    rows, missing = look_for_files(room.rows, sources.folders, sources.saved_folders)
    if not missing:
        return Missing(rows, (), (), 0)
    is_postgres = settings.get("name") == "psycopg2"
    with living(settings) as txn:
        lost = really_lost(txn, sources.server_name, missing, is_postgres=is_postgres)
    gone = tuple(sorted(set(missing) - set(lost)))
    # Where there is a storage provider whose files nobody sees from here, they may lie there.
    return Missing(rows, (), gone, len(lost)) if sources.elsewhere else Missing(rows, tuple(lost), gone, 0)


def _refuse_overlaps(sources: Sources, room: Workroom, repository: Repository) -> None:
    """A backup that holds itself would grow for ever."""
    own = [room.folder]
    if ":" not in repository.location:
        own.append(Path(repository.location).resolve())
    for folder in (*sources.folders, *sources.linked.values()):
        for other in own:
            if other.is_relative_to(folder) or folder.is_relative_to(other):
                raise BackupError(f"{folder} and {other} lie in each other: choose another --work-dir or --repository")


def _copy_all(paths: Sequence[Path], folder: Path, name: str) -> tuple[Stored, ...]:
    """Copies files with their whole paths below a folder."""
    copies = []
    for path in paths:
        copy = Path(name, *path.parts[1:])
        target = folder / copy
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o600)
        copies.append(Stored(str(path), str(copy), target.stat().st_size))
    return tuple(copies)


def _owned(
    homeserver: Mapping[str, Any], sources: Sources, dump_name: str, copies: Sequence[Stored]
) -> Iterator[Owned]:
    """Whose everything is that a restore writes under another name."""
    for folder, place in zip(sources.folders, places_of(len(sources.providers)), strict=True):
        if folder not in sources.absent:
            yield owned(folder, place)
    settings = database_settings(homeserver)
    if settings.get("name") != "psycopg2":
        yield owned(Path(str(settings["args"]["database"])), dump_name)
    noted: dict[str, Owned] = {}
    for copy in copies:
        noted |= {one.path: one for one in with_folders_above(Path(copy.original), Path(copy.copy).parts[0])}
    yield from noted.values()


def _versions(dumped: Dumped, repository: Repository) -> dict[str, str]:
    return {
        "synapse": synapse_version(),
        "synapse_bum": __version__,
        "database": dumped.database_version,
        "restic": repository.version(),
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
