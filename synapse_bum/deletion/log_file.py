"""A log on disk: appending whole lines, and positions in it.

Blocking; run in a thread. The file is opened anew each time, so it may be rotated, removed or made unwritable at any
time. Only one process at a time works with it (the lease of `DeletionLog`).
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attr

FINGERPRINT_BYTES: Final = 1_024
"""So much before a position tells whether a file still is the one that was written: lines differ in their ids."""

_MODE: Final = 0o640


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Position:
    """How far a log is known.

    Attributes:
        size: bytes from its start.
        fingerprint: of the last bytes before that, SHA-256, hexadecimal.
    """

    size: int
    fingerprint: str


START: Final = Position(0, hashlib.sha256(b"").hexdigest())
"""Nothing is known of the log."""


def append(path: Path, lines: Sequence[bytes], *, beginning: bytes = b"") -> Position:
    """Append lines and wait until the disk has them; all or, if that is possible, none.

    Args:
        path: of the log; the file is made if it is missing, its folder is not.
        lines: each with its newline.
        beginning: what stands before them when the file is empty, with its newline.

    Returns:
        The position behind them.

    Raises:
        OSError: they are not, or not surely, there.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        start = os.fstat(descriptor).st_size
        torn = start > 0 and os.pread(descriptor, 1, start - 1) != b"\n"
        write_behind(descriptor, start, b"\n" * torn + (b"" if start else beginning) + b"".join(lines))
        end = position_at(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)
    return end


def write_behind(descriptor: int, start: int, content: bytes) -> None:
    """Write to the end of an open file and wait until the disk has it; all or, if that is possible, nothing.

    Args:
        descriptor: of the file, opened to append.
        start: how many bytes it has.
        content: what to write.

    Raises:
        OSError: it is not, or not surely, there.
    """
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    except OSError:
        # A full disk: without this each attempt would leave another piece. A log that may only grow keeps it.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, start)
        raise


def position_at(descriptor: int, size: int) -> Position:
    """Returns the position behind so many bytes of an open file.

    Raises:
        OSError: they can't be read.
    """
    start = max(0, size - FINGERPRINT_BYTES)
    return Position(size, hashlib.sha256(os.pread(descriptor, size - start, start)).hexdigest())


def sync_folder(folder: Path) -> None:
    """Have the name of a new file survive a crash of the machine, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
