"""Looking through a media store for files, and removing some of them. Blocking: for threads.

No link is ever followed, and what does not look like Synapse's own file is never touched.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import attr

from synapse_bum.homeserver.media_layout import Owner, Shelf, owner_of

Unreadable: TypeAlias = Callable[[str, OSError], None]
"""Is told of a path below the media store that could not be looked at, and why."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Found:
    """A file of the media store, or of a copy of it.

    Attributes:
        path: relative to the media store.
        owner: whose it is.
        mtime_ns: when it was written, as the file system or the storage provider says.
        size_bytes: of it.
    """

    path: str
    owner: Owner
    mtime_ns: int
    size_bytes: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Unlike:
    """Something that is no file of Synapse's: another name, a link, a device."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Removed:
    """What came of some files that were to be removed.

    Attributes:
        files: how many were removed.
        size_bytes: of them.
        errors: why others were not; one that is gone or was written anew is no error.
    """

    files: int
    size_bytes: int
    errors: tuple[str, ...]


def walk_local(store: Path) -> Iterator[Found | Unlike]:
    """All files that were uploaded here, and those of URL previews, with their thumbnails."""
    for shelf in Shelf:
        if not shelf.is_remote:
            yield from _walk(store, shelf.value)


def remote_servers(store: Path) -> list[str]:
    """The names of all servers that have a folder here; names of other things may be among them."""
    names: set[str] = set()
    for shelf in Shelf:
        if shelf.is_remote:
            names.update(_names_in(store / shelf.value))
    return sorted(names)


def walk_remote(store: Path, server_name: str) -> Iterator[Found | Unlike]:
    """All files of another server, with their thumbnails.

    Args:
        store: the media store.
        server_name: of `remote_servers`.
    """
    for shelf in Shelf:
        if shelf.is_remote:
            yield from _walk(store, f"{shelf.value}/{server_name}")


def take(files: Iterator[Found | Unlike], count: int) -> list[Found | Unlike]:
    """The next files of a walk; none at its end."""
    return list(islice(files, count))


def _names_in(folder: Path) -> list[str]:
    """Names of all that is in a folder; none when it is a link, or no folder."""
    try:
        return os.listdir(folder) if stat.S_ISDIR(os.lstat(folder).st_mode) else []  # noqa: PTH208 - plain names
    except FileNotFoundError:
        return []


def walk_shelf(store: Path, shelf: Shelf, unreadable: Unreadable) -> Iterator[Found | Unlike]:
    """All files of one of Synapse's folders, in the order of their names, which is that of their ids.

    Args:
        store: the media store, or a copy of it.
        shelf: which folder.
        unreadable: is told what can't be read; the walk goes on behind it.
    """
    return _walk(store, shelf.value, unreadable)


def _end(_path: str, error: OSError) -> None:
    """What was not seen can't be judged."""
    raise error


def _walk(store: Path, relative: str, unreadable: Unreadable = _end) -> Iterator[Found | Unlike]:
    """All that is below a path; what vanishes meanwhile is passed over.

    Raises:
        OSError: something can't be read, and nobody else is told.
    """
    try:
        status = os.lstat(store / relative)
        if not stat.S_ISDIR(status.st_mode):
            yield _found(relative, status)
            return
        with os.scandir(store / relative) as entries:
            names = sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return
    except OSError as error:
        unreadable(relative, error)
        return
    for name in names:
        yield from _walk(store, f"{relative}/{name}", unreadable)


def _found(path: str, status: os.stat_result) -> Found | Unlike:
    owner = owner_of(path) if stat.S_ISREG(status.st_mode) else None
    return Unlike() if owner is None else Found(path, owner, status.st_mtime_ns, status.st_size)


def remove_unchanged(store: Path, files: Sequence[Found]) -> Removed:
    """Remove files that are still what was found."""
    removed, size_bytes, errors = 0, 0, []
    for file in files:
        try:
            done = _remove_one(store / file.path, file.mtime_ns)
        except OSError as error:
            errors.append(error.strerror or str(error))
            continue
        removed += done
        size_bytes += file.size_bytes if done else 0
    return Removed(removed, size_bytes, tuple(errors))


def _remove_one(path: Path, mtime_ns: int) -> bool:
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_mtime_ns != mtime_ns:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def only_files(found: Iterable[Found | Unlike]) -> list[Found]:
    """Those that are files of Synapse's."""
    return [file for file in found if isinstance(file, Found)]
