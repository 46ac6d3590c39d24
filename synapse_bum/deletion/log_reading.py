"""Reading the deletion log from disk, and noticing that it is not the one, not whole, or damaged.

Blocking; run before the listeners or in a thread. Whatever can't be believed is an error that says what to do: a
deletion that is not read again is a file that everybody can fetch again.

Parts that were rotated away and put together again are one log when each goes on behind the end of the one before it:
where exactly does not matter, so parts may overlap, stand there twice, or end with what was never noted or finished. To
delete something twice does no harm; to pass something over does.
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import BinaryIO, Final

import attr

from synapse_bum.deletion.log_file import FINGERPRINT_BYTES, Position, position_at
from synapse_bum.deletion.log_lines import (
    LOST,
    LoggedFile,
    TornLineError,
    UnreadableLineError,
    read_beginning,
    read_line,
)

logger = logging.getLogger(__name__)

PART_BYTES: Final = 131_072
"""How much is read of a log at once: some 500 lines. No line of it is as long."""

_LOOK_BACK: Final = 64
"""Bytes before a place, in which a line `lost` stands if there is one; more blank lines nobody writes."""

_IF_LOST: Final = "what it says was deleted after the last backup is then not deleted again"


class UnusableLogError(Exception):
    """The log can't be relied on; the text says why and what to do."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class UnknownPart:
    """A part of the log that the database does not know.

    Attributes:
        files: that it says were deleted, in the order of its lines.
        torn: lines that were never finished.
        end: the position behind its last whole line.
    """

    files: tuple[LoggedFile, ...]
    torn: int
    end: Position


def has_vanished(path: Path, known: Position) -> bool:
    """Whether the file that was written is gone, or empty: it was rotated, or it is lost.

    Raises:
        OSError: that can't be told.
    """
    if not known.size:
        return False
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True


def unknown_part(path: Path, known: Position, own_name: str) -> UnknownPart | None:
    """Look for what the database does not know: because it was restored, or because of a crash after an append.

    Args:
        path: of the log.
        known: how far the database knows it.
        own_name: our server's name.

    Returns:
        The first part of it; None when there is nothing.

    Raises:
        UnusableLogError: the file is missing, another one, not whole, or damaged.
        OSError: it can't be read.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if not known.size:
            return None
        if not path.parent.is_dir():
            raise UnusableLogError(
                f"the folder {path.parent} is not there; each process with the media volume has to see it"
            ) from None
        raise _gone(path, known, "is missing") from None
    with file:
        size = os.fstat(file.fileno()).st_size
        continues = 0 < known.size <= size and position_at(file.fileno(), known.size) == known
        start = known.size if continues else _start(file, path, known)
        return _read(file, path, start, own_name)


def _gone(path: Path, known: Position, how: str) -> UnusableLogError:
    return UnusableLogError(
        f"{path} {how}, though {known.size} bytes were written to it. Bring the file back. If it was rotated, put the"
        f" older part in front (`cat old new`). If it is lost for good, write a line `lost` to it (`echo lost >"
        f" {path}`): {_IF_LOST}"
    )


def _start(file: BinaryIO, path: Path, known: Position) -> int:
    """Returns from where on to read a file that is not, or not from its start, the one that was written last.

    Raises:
        UnusableLogError: a part is missing between what is known and what stands in it.
    """
    first = _first_line(file)
    if first == LOST:
        logger.warning("%s begins with `lost`: %s", path, _IF_LOST)
        return 0
    follows = read_beginning(first) if first else None
    if not known.size:
        if follows is not None:
            raise _missing_part(path, 1)
        return 0
    if not first:
        raise _gone(path, known, "is empty")
    if follows == known:
        return 0
    start = _end_of(file, known)
    if start is None:
        raise UnusableLogError(
            f"{path} does not go on where it ended when it was written last, {known.size} bytes from its start: it is"
            " an older copy, another file, or it was rotated and a part is missing. Bring the right file back; put"
            " rotated parts in front of it in their order (`cat old new`). If a part is lost for good, write a line"
            f" `lost` in its place: {_IF_LOST}"
        )
    _check_order(file, path, start)
    return start


def _end_of(file: BinaryIO, part: Position, *, since: int = 0, until: int | None = None) -> int | None:
    """Where in a file, at the end of which line, another one ended that was put into it; the first such place.

    Reads and hashes the whole file, so it is only for those that were put together.
    """
    size = min(part.size, FINGERPRINT_BYTES)
    file.seek(0)
    offset = 0
    while raw := file.readline(PART_BYTES):
        offset += len(raw)
        if until is not None and offset > until:
            return None
        if offset < max(since, part.size) or not raw.endswith(b"\n"):
            continue
        if hashlib.sha256(os.pread(file.fileno(), size, offset - size)).hexdigest() == part.fingerprint:
            return offset
    return None


def _check_order(file: BinaryIO, path: Path, known: int) -> None:
    """Raises `UnusableLogError` when a part, of which nothing would be read, stands before the one that it follows."""
    offset = 0
    beginnings = []
    file.seek(0)
    while offset < known and (raw := file.readline(PART_BYTES)):
        follows = read_beginning(raw)
        if follows is not None:
            beginnings.append((offset, follows))
        offset += len(raw)
    for begin, follows in beginnings:
        if _end_of(file, follows, until=begin) is None and _end_of(file, follows, since=begin) is not None:
            raise UnusableLogError(
                f"in {path} the part that begins with line {_number_of_line(file, begin)} stands before the one that it"
                " follows: put the rotated parts together in their order (`cat old new`)"
            )


def _first_line(file: BinaryIO) -> bytes:
    """The first line that is whole and not blank; nothing when there is none."""
    file.seek(0)
    while raw := file.readline(PART_BYTES):
        line = raw.strip()
        if line and (line == LOST or not _is_torn(line)):
            return line
    return b""


def _is_torn(line: bytes) -> bool:
    try:
        read_line(line, "")
    except TornLineError:
        return True
    except UnreadableLineError:
        return False
    return False


def _read(file: BinaryIO, path: Path, start: int, own_name: str) -> UnknownPart | None:
    descriptor = file.fileno()
    content = os.pread(descriptor, PART_BYTES, start)
    # A piece at the end was torn off by a crash, or it is just being written: what follows it is read with it.
    whole, newline, _ = content.rpartition(b"\n")
    if not newline:
        if len(content) == PART_BYTES:
            raise _damaged(file, path, start, f"it is longer than {PART_BYTES} bytes")
        return None
    files: list[LoggedFile] = []
    torn, offset = 0, start
    for raw in whole.split(b"\n"):
        follows = read_beginning(raw)
        if follows is not None and not _follows(file, offset, follows):
            raise _missing_part(path, _number_of_line(file, offset))
        try:
            logged = read_line(raw, own_name) if follows is None else None
        except TornLineError:
            torn += 1
        except UnreadableLineError as error:
            raise _damaged(file, path, offset, str(error)) from None
        else:
            if logged is not None:
                files.append(logged)
        offset += len(raw) + 1
    return UnknownPart(tuple(files), torn, position_at(descriptor, offset))


def _follows(file: BinaryIO, offset: int, before: Position) -> bool:
    """Whether the end of the file that was rotated away stands before a place, or that it is said to be lost."""
    descriptor = file.fileno()
    start = max(0, offset - _LOOK_BACK)
    just_before = os.pread(descriptor, offset - start, start).rstrip(b"\n")
    if just_before == LOST or just_before.endswith(b"\n" + LOST):
        return True
    if not start and not just_before:
        # It is the first line; what is before it was judged where reading began.
        return True
    size = min(before.size, FINGERPRINT_BYTES)
    # As a rule it does at once, behind the blank line with which a file begins.
    for end in {offset, offset - 1}:
        if size <= end and hashlib.sha256(os.pread(descriptor, size, end - size)).hexdigest() == before.fingerprint:
            return True
    return _end_of(file, before, until=offset) is not None


def _missing_part(path: Path, number: int) -> UnusableLogError:
    return UnusableLogError(
        f"in {path} the part before line {number} is missing, which was rotated away. Put it in front of that line"
        f" (`cat old new`). If it is lost for good, write a line `lost` in its place: {_IF_LOST}"
    )


def _damaged(file: BinaryIO, path: Path, offset: int, how: str) -> UnusableLogError:
    return UnusableLogError(
        f"{path} is damaged, in line {_number_of_line(file, offset)}: {how}. Bring the right file back, or take that"
        " line out: the file that it names is then not deleted again"
    )


def _number_of_line(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    number = 1
    while offset > 0 and (content := file.read(min(offset, PART_BYTES))):
        number += content.count(b"\n")
        offset -= len(content)
    return number
