"""The deletion log on disk: appending whole lines, and finding what stands in it that the database does not know.

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

_FINGERPRINT_BYTES: Final = 1_024
"""So much before a position tells whether a file still is the one that was written: lines differ in their ids."""

_MODE: Final = 0o640

PART_BYTES: Final = 131_072
"""How much is read of a log at once: some 500 lines."""


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


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UnknownPart:
    """A part of the log that the database does not know.

    Attributes:
        lines: the whole lines in it, without their newlines.
        end: the position behind it.
        continues: whether it follows what is known; otherwise the file is another one and is read from its start.
    """

    lines: tuple[bytes, ...]
    end: Position
    continues: bool


def unknown_part(path: Path, known: Position) -> UnknownPart | None:
    """Look for what the database does not know: because it was restored, or because of a crash after an append.

    Args:
        path: of the log.
        known: how far the database knows it.

    Returns:
        The first part of it; None when there is nothing.

    Raises:
        OSError: the file can't be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        continues = size >= known.size and _position(file.fileno(), known.size) == known
        start = known.size if continues else 0
        if start >= size:
            return None
        content = os.pread(file.fileno(), PART_BYTES, start)
        whole, newline, torn = content.rpartition(b"\n")
        if torn and start + len(content) < size and newline:
            content = whole + newline
        lines = tuple(whole.split(b"\n")) if newline else ()
        return UnknownPart(lines, _position(file.fileno(), start + len(content)), continues)


def append(path: Path, lines: Sequence[bytes]) -> Position:
    """Append lines and wait until the disk has them; all or, if that is possible, none.

    Args:
        path: of the log; the file is made if it is missing, its folder is not.
        lines: each with its newline.

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
        try:
            _write_all(descriptor, b"\n" * torn + b"".join(lines))
            os.fsync(descriptor)
        except OSError:
            # A full disk: without this each attempt would leave another piece. A log that may only grow keeps it.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, start)
            raise
        end = _position(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    if is_new:
        _sync_folder(path.parent)
    return end


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _position(descriptor: int, size: int) -> Position:
    start = max(0, size - _FINGERPRINT_BYTES)
    return Position(size, hashlib.sha256(os.pread(descriptor, size - start, start)).hexdigest())


def _sync_folder(folder: Path) -> None:
    """Have the name of a new file survive a crash of the machine, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
