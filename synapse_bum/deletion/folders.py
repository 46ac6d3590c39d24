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

from synapse_bum.homeserver.media_deletion import MEDIA_FOLDERS, MediaPaths


class NotTheMediaStoreError(Exception):
    """The folder holds no media store: what is not found in it may well exist elsewhere."""


class OutsideOfFolderError(ValueError):
    """A path that leads out of its folder."""


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
