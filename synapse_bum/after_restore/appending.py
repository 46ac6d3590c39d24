"""Appending to the recovery log: whole lines, by one process at a time, and only behind what that process has read.

A lease ends by a clock. Whoever hangs in a write for longer than that, on a network file system for example, must not
write behind its successor's back, so the file itself is locked too and has to be as it was read. Blocking.
"""

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from synapse_bum.after_restore.reading import UnusableLogError
from synapse_bum.deletion.log_file import Position, position_at, sync_folder, write_behind

_MODE: Final = 0o600
"""It names people and rooms: only Synapse's own user reads it."""


def append(path: Path, lines: Sequence[bytes], behind: Position) -> Position:
    """Append lines and wait until the disk has them; all or, if that is possible, none.

    Args:
        path: of the log; the file is made if it is missing, its folder is not.
        lines: each with its newline; none makes an empty file.
        behind: the end of the file, as it was read.

    Returns:
        The position behind them.

    Raises:
        UnusableLogError: another process writes to it, or has done so since it was read. Nothing was written.
        OSError: they are not, or not surely, there.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        _lock(descriptor, path)
        start = os.fstat(descriptor).st_size
        if position_at(descriptor, start) != behind:
            raise UnusableLogError(
                f"`config.log_path`: {path} has changed since it was read: another process writes it"
            )
        torn = start > 0 and os.pread(descriptor, 1, start - 1) != b"\n"
        write_behind(descriptor, start, b"\n" * (torn and bool(lines)) + b"".join(lines))
        end = position_at(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)
    return end


def _lock(descriptor: int, path: Path) -> None:
    """Lock the file until it is closed, also against other machines where the file system can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UnusableLogError(
            f"`config.log_path`: another process is writing to {path}, or hangs while it does"
        ) from None
