"""Folders of media: the media store and the copies that Synapse's file storage provider makes.

Only the folders that Synapse makes in one are emptied, of files only that a row of this homeserver names. Links and
mounts are never followed: a folder that holds one, or anything else, is refused as a whole.
"""

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.offboard.belonging import refuse_foreign, refuse_unknowable
from synapse_bum.cli.offboard.failure import OffboardError
from synapse_bum.cli.offboard.mounts import mounts_below
from synapse_bum.homeserver.media_deletion import MEDIA_FOLDERS
from synapse_bum.homeserver.media_ownership import Ownership

_NOBODYS: Final = {"lost+found"}
"""What a file system puts into its uppermost folder."""

_BATCH: Final = 1_000


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Counted:
    """What is in a folder.

    Attributes:
        files: how many.
        size_bytes: of them.
    """

    files: int
    size_bytes: int


def shown(folder: Path) -> str:
    """What errors and reports call a folder."""
    return f"media folder {folder}"


def count(folder: Path, ownership: Ownership) -> Counted:
    """Count the files of a media folder, and make sure that all of it is ours.

    Raises:
        OffboardError: something in it is not.
        OSError: something can't be read.
    """
    _refuse_strange(folder)
    files = size_bytes = 0
    found = _files(folder)
    while batch := list(islice(found, _BATCH)):
        refuse_foreign(shown(folder), [path for path, _size in batch], ownership)
        files += len(batch)
        size_bytes += sum(size for _path, size in batch)
    return Counted(files, size_bytes)


def erase(folder: Path, ownership: Ownership | None) -> None:
    """Empty a media folder, and remove it where nothing else holds it.

    Args:
        folder: absolute.
        ownership: None when the database is erased already; then only empty folders go.

    Raises:
        OffboardError: something in it is not ours. When it was there before, nothing was removed.
        OSError: something can't be removed.
    """
    if not os.path.lexists(folder):
        return
    _refuse_strange(folder)
    if ownership is None:
        refuse_unknowable(shown(folder), sum(1 for _one in _files(folder)))
    else:
        count(folder, ownership)
    for name in MEDIA_FOLDERS:
        if (folder / name).exists():
            _empty(folder, name, ownership)
            _remove_empty(folder / name)
    if not any(folder.iterdir()) and not folder.is_mount():
        folder.rmdir()


def left_in(folder: Path) -> list[Path]:
    """What is left of a media folder.

    Raises:
        OSError: it can't be read.
    """
    if not os.path.lexists(folder):
        return []
    return [one for one in folder.iterdir() if one.name not in _NOBODYS]


def refuse_missing(folder: Path, rows: int) -> None:
    """Make sure that the media store is there, and no empty folder where its file system should be mounted.

    Args:
        folder: the media store.
        rows: how many files of ours the database names.

    Raises:
        OffboardError: it is not.
    """
    if rows and not any((folder / name).is_dir() for name in MEDIA_FOLDERS):
        raise OffboardError(
            f"the {shown(folder)} is empty, and the database names {rows} files: is a file system not mounted? When it"
            " is really empty: mkdir local_content in it"
        )


def _refuse_strange(folder: Path) -> None:
    mode = folder.lstat().st_mode
    if not stat.S_ISDIR(mode):
        raise OffboardError(f"{folder} is a link or no folder: name the folder itself in the configuration")
    for entry in folder.iterdir():
        if entry.name in _NOBODYS:
            continue
        if entry.name not in MEDIA_FOLDERS:
            raise OffboardError(
                f"{folder} holds {entry.name}, which is none of Synapse's: it is no folder for media alone. Take out"
                " what belongs to somebody else"
            )
        _refuse_link(entry, entry.lstat().st_mode, stat.S_IFDIR)
    mounted = mounts_below(folder)
    if mounted:
        raise OffboardError(
            f"{mounted[0]} is mounted in the {shown(folder)}, and nobody can tell whose it is: erase it yourself where"
            " it is ours, and unmount it"
        )


def _refuse_link(path: Path, mode: int, wanted: int) -> None:
    if stat.S_IFMT(mode) != wanted:
        raise OffboardError(
            f"{path} is a link, or not what Synapse makes there: links are not followed. Take it out, with what it"
            " means"
        )


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Path relative to the folder and size of each file.

    Raises:
        OffboardError: there are links.
    """
    for start in filter(Path.exists, (folder / name for name in MEDIA_FOLDERS)):
        for above, folders, files, descriptor in os.fwalk(start, onerror=_fail):
            for one in folders:
                mode = os.stat(one, dir_fd=descriptor, follow_symlinks=False).st_mode
                _refuse_link(Path(above, one), mode, stat.S_IFDIR)
            for one in files:
                found = os.stat(one, dir_fd=descriptor, follow_symlinks=False)
                _refuse_link(Path(above, one), found.st_mode, stat.S_IFREG)
                yield Path(above, one).relative_to(folder).as_posix(), found.st_size


def _empty(folder: Path, name: str, ownership: Ownership | None) -> None:
    """Remove the files below one of the folders: what has come since the count is looked at once more.

    By descriptors of folders: no link is followed, not even one that comes while this works.
    """
    for above, folders, files, descriptor in os.fwalk(folder / name, topdown=False, onerror=_fail):
        if files:
            if ownership is None:
                refuse_unknowable(shown(folder), len(files))
            else:
                paths = [Path(above, file).relative_to(folder).as_posix() for file in files]
                refuse_foreign(shown(folder), paths, ownership)
        for file in files:
            os.unlink(file, dir_fd=descriptor)
        for one in folders:
            _remove_empty(one, descriptor)


def _remove_empty(folder: Path | str, descriptor: int | None = None) -> None:
    try:
        os.rmdir(folder, dir_fd=descriptor)
    except OSError as error:
        # The look afterwards finds what has come.
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _fail(error: OSError) -> None:
    raise error
