"""The folders in which backups are put together: what a killed backup or verification has left there is in clear."""

import json
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.backup.manifest import FILE_NAME
from synapse_bum.cli.backup.workroom import WORK_DIRS, Workroom, workroom
from synapse_bum.identifiers import is_server_name

USUAL: Final = WORK_DIRS
"""Where `synapse-bum backup` works: in a folder of the server's name, in older releases in this one itself."""

OF_RESTORES: Final = "_restore"
"""The folder there in which it works when no server is named."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class WorkFolders:
    """Those in which something lies.

    Attributes:
        ours: of this server.
        unclear: nobody can tell whose it is.
    """

    ours: tuple[Path, ...]
    unclear: tuple[Path, ...]


def sort_out(
    server_name: str, given: Sequence[Path], config_files: Sequence[Path], run_ids: Collection[str], usual: Path
) -> WorkFolders:
    """Look where backups are put together, and whose that is which lies there.

    Args:
        server_name: of the homeserver.
        given: what an operator has named: this server's, whatever lies there.
        config_files: homeserver.yaml, which a backup copies with its whole path.
        run_ids: of this server's backups, as far as they are known.
        usual: see `USUAL`; other servers of the machine use it too.

    Raises:
        BackupError: a list of runs can't be read.
        OSError: a folder can't be read.
    """
    own = [usual / server_name] if is_server_name(server_name) else []
    named = list(dict.fromkeys(path.absolute() for path in (*given, *own)))
    ours = [folder for folder in named if files_in(folder)]
    unclear = []
    for folder in (usual.absolute(), usual.absolute() / OF_RESTORES):
        files = [] if folder in named else files_in(folder)
        if files:
            servers = _servers_of(folder, files, config_files, run_ids, server_name)
            if servers == {server_name}:
                ours.append(folder)
            elif server_name in servers or not servers:
                unclear.append(folder)
    return WorkFolders(tuple(ours), tuple(unclear))


def files_in(folder: Path) -> list[Path]:
    """What lies there of backups, and restic's cache of them.

    Raises:
        OSError: it can't be read.
    """

    def fail(error: OSError) -> None:
        raise error

    room = Workroom(folder)
    places = [room.data.parent, room.scratch, room.cache]
    return [
        Path(above, file)
        for place in places
        if place.exists()
        for above, folders, files in os.walk(place, onerror=fail)
        for file in (*files, *(one for one in folders if Path(above, one).is_symlink()))
    ]


def erase(folder: Path) -> None:
    """Empty it. The folder stays, and the file by which backups shut each other out.

    Raises:
        BackupError: a backup runs there at this moment, perhaps another server's.
        OSError: something can't be removed.
    """
    if folder.is_dir():
        with workroom(folder) as room:
            if room.cache.exists():
                shutil.rmtree(room.cache)


def _servers_of(
    folder: Path, files: Sequence[Path], config_files: Sequence[Path], run_ids: Collection[str], server_name: str
) -> set[str]:
    """Of which servers that is which lies there, as far as it says so."""
    servers = set(_in_manifests(files))
    if any(str(path).endswith(str(config.absolute())) for path in files for config in config_files):
        servers.add(server_name)
    if not set(run_ids).isdisjoint(Workroom(folder).written.run_ids()):
        servers.add(server_name)
    return servers


def _in_manifests(files: Sequence[Path]) -> Iterator[str]:
    for path in files:
        if path.name == FILE_NAME:
            try:
                name = json.loads(path.read_text(encoding="utf-8"))["server_name"]
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(name, str):
                yield name
