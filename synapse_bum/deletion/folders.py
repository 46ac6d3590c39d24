"""Files in folders: the media store itself, and the copies that Synapse's file storage provider makes.

Blocking; run in a thread. Folders above a file are left, empty or not: Synapse makes them just before it writes, and an
upload would fail if one vanished in between.
"""

import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import attr

from synapse_bum.deletion.walk import Found, Unlike, Unreadable, walk_shelf
from synapse_bum.homeserver.media_deletion import MEDIA_FOLDERS, MediaPaths
from synapse_bum.homeserver.media_layout import Shelf


class NotTheMediaStoreError(Exception):
    """The folder holds no media store: what is not found in it may well exist elsewhere."""


class OutsideOfFolderError(ValueError):
    """A path that leads out of its folder."""


class LinkNotFollowedError(Exception):
    """One of the folders of a media store is a link: what is behind it was not looked at."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Presence:
    """Which of some paths are at a place; those that are in neither are not there.

    Attributes:
        there: those that are.
        unknown: those of which it could not be found out.
        reason: why not, of the first of them; None when all are known.
    """

    there: frozenset[str]
    unknown: frozenset[str] = frozenset()
    reason: str | None = None


def is_media_store(folder: Path, known: Collection[str] = MEDIA_FOLDERS) -> bool:
    """Whether a folder has been used as a media store: a volume that is not mounted is an empty folder.

    So is a copy folder before its first file. Deletions wait for that file then, which is the safe side.
    """
    return any((folder / name).is_dir() for name in known)


def below(folder: Path, relative: str) -> Path:
    """Joins a folder and a relative path.

    Raises:
        OutsideOfFolderError: the path is absolute, has `..` in it, or is the folder itself.
    """
    parts = Path(relative).parts
    if not parts or Path(relative).is_absolute() or ".." in parts or "\0" in relative:
        raise OutsideOfFolderError("a path of the media store leads out of it")
    return folder.joinpath(*parts)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Folder:
    """A folder with files as the media store has them.

    Attributes:
        name: what errors call it.
        path: of the folder.
    """

    name: str
    path: Path

    def remove(self, batch: Sequence[MediaPaths], go_on: Callable[[], bool]) -> Iterator[tuple[int, Exception | None]]:
        """Remove files and their thumbnails, one after the other; see `places.BlockingPlace`.

        Raises:
            NotTheMediaStoreError: the volume seems not to be mounted.
        """
        self._check_volume()
        for number, paths in enumerate(batch):
            if not go_on():
                return
            try:
                self._remove_one(paths)
            except Exception as error:  # noqa: BLE001 - file systems raise what they like
                yield number, error
            else:
                yield number, None

    def walk(self, shelf: Shelf, unreadable: Unreadable) -> Iterator[Found | Unlike]:
        """See `listings.Listing`.

        Raises:
            NotTheMediaStoreError: the volume seems not to be mounted.
            LinkNotFollowedError: the folder is a link.
        """
        self._check_volume()
        if (self.path / shelf.value).is_symlink():
            raise LinkNotFollowedError("it is a link, and links are not followed")
        yield from walk_shelf(self.path, shelf, unreadable)

    def present(self, paths: Sequence[str]) -> Presence:
        """See `listings.Listing`; links are followed, as Synapse does when it serves a file.

        Raises:
            NotTheMediaStoreError: the volume seems not to be mounted.
        """
        there, unknown, reason = set[str](), set[str](), None
        for path in paths:
            try:
                os.stat(below(self.path, path))  # noqa: PTH116 - as the walk asks
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                unknown.add(path)
                reason = reason or error.strerror or str(error)
            else:
                there.add(path)
        if len(there) < len(paths):
            # Not there, unless it is the volume that is gone.
            self._check_volume()
        return Presence(frozenset(there), frozenset(unknown), reason)

    def _remove_one(self, paths: MediaPaths) -> None:
        file, thumbnails = below(self.path, paths.file), below(self.path, paths.thumbnail_folder)
        try:
            file.unlink()
        except FileNotFoundError:
            # Gone already, unless it is the volume that has gone since the batch began.
            self._check_volume()
        _remove_tree(thumbnails)

    def _check_volume(self) -> None:
        if not is_media_store(self.path):
            raise NotTheMediaStoreError("it has none of Synapse's media folders; is its volume mounted?")


def _remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, even while Synapse still writes into it; a link is not followed."""
    try:
        mode = os.lstat(folder).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(folder)
    else:
        folder.unlink()
