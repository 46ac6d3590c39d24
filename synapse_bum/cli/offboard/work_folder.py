"""The folder in which backups are put together: what a killed backup or verification has left there is in clear."""

import os
import shutil
from pathlib import Path

from synapse_bum.cli.backup.workroom import Workroom, workroom


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
