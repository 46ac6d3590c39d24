"""A run is brought back: its files into a new folder, its database into an empty one. Nothing is ever overwritten."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from synapse_bum.cli.backup.dumping import load_postgres
from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.manifest import Manifest, read_manifest
from synapse_bum.cli.backup.restic import Repository
from synapse_bum.cli.backup.runs import Run
from synapse_bum.homeserver.database_copying import PostgresDatabase

_RAW: Final = "raw"


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder that takes its name when all has gone well, and is gone otherwise.

    Raises:
        BackupError: there is something of that name, or it can't be made.
    """
    target = target.absolute()
    if target.is_symlink() or (target.exists() and not (target.is_dir() and not any(target.iterdir()))):
        raise BackupError(f"--restore {target}: is there already; nothing is ever overwritten: name a new folder")
    beside = target.with_name(f".{target.name}.restoring")
    try:
        if beside.exists():
            shutil.rmtree(beside)
        beside.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise BackupError(f"--restore {target}: {error.strerror}") from None
    try:
        yield beside
        beside.replace(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def fetch_run(repository: Repository, run: Run, folder: Path) -> Manifest:
    """Write the files of a run into an empty folder.

    What lies in it afterwards: `manifest.json`, `homeserver.db` or `database.dump`, `media_store`, `providers/0` and so
    on, `config` and `logs` with the whole paths that files had.

    Args:
        repository: that holds it.
        run: a whole one.
        folder: on the disk where the files shall stay.

    Returns:
        What the run holds.

    Raises:
        BackupError: the run is damaged or there is no space.
        OSError: the same.
    """
    if run.data is None or run.closing is None:
        raise BackupError(f"the run {run.run_id} was broken off")
    raw = folder / _RAW
    repository.restore(run.closing.snapshot_id, raw)
    closing = _below(raw, run.closing.paths[0])
    manifest = read_manifest(closing)
    repository.restore(run.data.snapshot_id, raw)
    data = _below(raw, manifest.data_folder)
    for found in (*closing.iterdir(), *data.iterdir()):
        found.rename(folder / found.name)
    # The deepest first: a provider may lie in the folder of another.
    originals = (manifest.media, *manifest.providers)
    places = {path: folder / place for path, place in zip(originals, manifest.places, strict=True)}
    linked = [(_place_of(link, places), _below(raw, path)) for link, path in manifest.linked.items()]
    for path in sorted(places, key=len, reverse=True):
        places[path].parent.mkdir(exist_ok=True)
        if os.path.lexists(_below(raw, path)):
            _below(raw, path).rename(places[path])
        else:
            # It was not there when the backup was made.
            places[path].mkdir(mode=0o700)
    for link, path_in_raw in linked:
        link.unlink()
        path_in_raw.rename(link)
    shutil.rmtree(raw)
    if not (folder / manifest.dump_name).is_file():
        raise BackupError(f"the run {run.run_id} holds no database")
    return manifest


def load(folder: Path, manifest: Manifest, target: PostgresDatabase | None) -> None:
    """Bring the database back; one of SQLite is there already.

    Args:
        folder: as `fetch_run` has filled it.
        manifest: what it has returned.
        target: an empty database; None for SQLite.

    Raises:
        BackupError: there is none for a dump of PostgreSQL, or it could not be filled.
        OfflineDatabaseError: it can't be reached, or is not empty.
    """
    if not manifest.is_postgres:
        return
    if target is None:
        raise BackupError("this is a backup of PostgreSQL: name an empty database with --database")
    load_postgres(folder / manifest.dump_name, target)
    # All that people have written, readable: it is in the database now.
    (folder / manifest.dump_name).unlink()


def _place_of(link: str, places: Mapping[str, Path]) -> Path:
    """Where a link in one of the folders lies now; the deepest of them counts."""
    above = max((path for path in places if Path(link).is_relative_to(path)), key=len)
    return places[above] / Path(link).relative_to(above)


def _below(folder: Path, path: str) -> Path:
    """Where restic has written what had this absolute path."""
    return folder.joinpath(*Path(path).parts[1:])
