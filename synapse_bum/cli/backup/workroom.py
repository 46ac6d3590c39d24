"""The folder in which backups are put together, alone, and what an earlier run has left there."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attr

from synapse_bum.cli.backup.failure import BackupError
from synapse_bum.cli.backup.written_here import WrittenHere

WORK_DIRS: Final = Path("/var/lib/synapse-bum-backup")
"""Where each server has its folder."""

_OF_NOBODY: Final = "_restore"


def default_work_dir(server_name: str | None) -> Path:
    """The folder of a server; one is shared by restores for which no server is named. Pure.

    Raises:
        BackupError: the name can't be one of a folder.
    """
    if server_name is not None and ("/" in server_name or server_name in {"", ".", "..", _OF_NOBODY}):
        raise BackupError(f"`server_name` {server_name!r} can't be the name of a folder: name one with --work-dir")
    return WORK_DIRS / (_OF_NOBODY if server_name is None else server_name)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Workroom:
    """The folder.

    Attributes:
        folder: absolute.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """What goes into the first snapshot, beside the media. Always the same path: restic finds what it has by it."""
        return self.folder / "run" / "data"

    @property
    def closing(self) -> Path:
        """What goes into the second one."""
        return self.folder / "run" / "closing"

    @property
    def rows(self) -> Path:
        """The list of files that the dump has rows for."""
        return self.folder / "run" / "rows"

    @property
    def written(self) -> WrittenHere:
        """Which runs were written from here; it outlives them."""
        return WrittenHere(self.folder / "runs")

    @property
    def scratch(self) -> Path:
        """Where a verification restores to."""
        return self.folder / "scratch"

    @property
    def cache(self) -> Path:
        """Restic's."""
        return self.folder / "cache"

    def clear(self) -> None:
        """Removes what is put together there.

        Raises:
            BackupError: it can't be removed.
        """
        try:
            for folder in (self.folder / "run", self.scratch):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise BackupError(f"--work-dir: {error.filename} can't be removed: {error.strerror}") from None


@contextlib.contextmanager
def workroom(folder: Path) -> Iterator[Workroom]:
    """Have the folder alone, clean at the begin and at the end.

    Args:
        folder: made when it is missing.

    Raises:
        BackupError: another backup runs there, or it can't be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise BackupError(f"--work-dir {folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup works in {folder} at this moment") from None
        room = Workroom(folder.resolve())
        room.clear()
        try:
            yield room
        finally:
            room.clear()
    finally:
        os.close(descriptor)
