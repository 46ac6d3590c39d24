"""Reading the recovery log from disk, and noticing that it is not the one, not whole, or damaged.

Blocking; run before the listeners or in a thread. Whatever can't be believed is an error that says what to do: an
unread lock is an open door.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attr

from synapse_bum.after_restore.lines import Beginning, DamagedLineError, Line, TornLineError, read_line
from synapse_bum.deletion.log_file import START, Position, position_at

_REMEDY: Final = "Bring the right file back, or, if it is lost for good,"
_THEN: Final = "what was closed after the last backup is then not closed again"


class UnusableLogError(Exception):
    """The log can't be relied on; the text says why and what to do."""


class _StepsBackError(Exception):
    """Behind what is known stands a line that counts less: only the whole file tells whether it is there twice."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Part:
    """What stands in the log behind a line.

    Attributes:
        lines: in their order.
        last_seq: number of the last line of the file, or what was known when there is none.
        last_id: of that line.
        end: the position behind it.
        torn: pieces of lines that were never finished.
        is_empty: whether the file is missing, or nothing whole stands in it.
        is_begun: whether it ends with the line that begins a new file: no state stands behind that yet.
    """

    lines: tuple[Line, ...]
    last_seq: int
    last_id: str
    end: Position
    torn: int
    is_empty: bool
    is_begun: bool


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Whence:
    """From where on the log is read.

    Attributes:
        seq: number of the last line that is known to all who ask; 0 for none.
        written: number of the last line that was written, as far as the database knows.
        written_id: of that line; empty where the database does not know it.
        position: behind that line; `START` where nothing of this file is known.
        server: our name; a log of another server is refused.
        begins_at: number of the first line, when an operator has said that those before are lost; behind `written`
            when all are.
    """

    seq: int
    written: int
    written_id: str
    position: Position
    server: str
    begins_at: int | None = None


def read_part(path: Path, whence: Whence, *, may_be_empty: bool) -> Part:
    """Read what stands behind what is known.

    Args:
        path: of the log.
        whence: what is known.
        may_be_empty: whether a log that is missing or empty is to be begun anew, though something was written to it.

    Raises:
        UnusableLogError: it is missing, emptied, damaged, another server's, or a part of it is missing.
    """
    may_be_empty = may_be_empty or whence.written == 0 or whence.begins_at == whence.written + 1
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if not may_be_empty:
            raise _gone(path, whence, "is missing") from None
        return Part((), whence.written, whence.written_id, START, 0, is_empty=True, is_begun=False)
    except OSError as error:
        raise UnusableLogError(f"`config.log_path`: {path} can't be read: {error.strerror}") from None
    with file:
        try:
            part = _read(file, path, whence)
        except OSError as error:
            raise UnusableLogError(f"`config.log_path`: {path} can't be read: {error.strerror}") from None
    if part.is_empty and not may_be_empty:
        raise _gone(path, whence, "is empty")
    return part


def _gone(path: Path, whence: Whence, how: str) -> UnusableLogError:
    return UnusableLogError(
        f"`config.log_path`: {path} {how}, though {whence.written} lines were written to it (was it rotated or"
        f" truncated?). {_REMEDY} set `config.log_begins_at` to {whence.written + 1}: {_THEN}"
    )


def _read(file: BinaryIO, path: Path, whence: Whence) -> Part:
    size = os.fstat(file.fileno()).st_size
    known = whence.position
    if whence.seq >= whence.written and 0 < known.size <= size and position_at(file.fileno(), known.size) == known:
        try:
            return _read_from(known.size, size, file, _Counter(path, whence, whence.written))
        except _StepsBackError:
            pass
    counter = _Counter(path, whence, None)
    part = _read_from(0, size, file, counter)
    if not part.is_empty:
        counter.check_end()
    return part


def _read_from(start: int, size: int, file: BinaryIO, counter: "_Counter") -> Part:
    whence = counter.whence
    file.seek(start)
    lines: list[Line] = []
    is_begun = False
    for one in _lines(file, size, counter):
        is_begun = isinstance(one, Beginning)
        if isinstance(one, Beginning):
            counter.begin(one)
        elif counter.is_next(one) and one.seq > whence.seq:
            lines.append(one)
    last_seq, last_id = whence.written, whence.written_id
    if lines and lines[-1].seq > last_seq:
        last_seq, last_id = lines[-1].seq, lines[-1].line_id
    end = position_at(file.fileno(), size)
    return Part(tuple(lines), last_seq, last_id, end, counter.torn, is_empty=counter.is_empty, is_begun=is_begun)


def _lines(file: BinaryIO, size: int, counter: "_Counter") -> Iterator[Line | Beginning]:
    # Only what was there at the beginning: another process may be writing.
    left = size - file.tell()
    for raw in file:
        left -= len(raw)
        if left < 0:
            return
        counter.number += 1
        if not raw.strip():
            continue
        try:
            yield read_line(raw.rstrip(b"\n"))
        except TornLineError:
            counter.torn += 1
        except DamagedLineError as error:
            raise UnusableLogError(
                f"`config.log_path`: {counter.path} is damaged, in line {counter.number} of what was read: {error}."
                f" {_REMEDY} take that line out and set `config.log_begins_at` to the number (`seq`) of the next one"
            ) from None


class _Counter:
    """Watches that no line is missing, and that each is the one that was written.

    Attributes:
        path: of the log.
        whence: what is known.
        number: of the line in the file, from where reading began.
        torn: pieces of lines so far.
    """

    def __init__(self, path: Path, whence: Whence, behind: int | None) -> None:
        """Prepares for the lines behind one; None for those from the start of the file."""
        self.path = path
        self.whence = whence
        self.number = 0
        self.torn = 0
        self._reads_all = behind is None
        self._last = behind
        self._ids: dict[int, str] = {} if behind is None else {behind: whence.written_id}

    @property
    def is_empty(self) -> bool:
        """Whether nothing whole stands in the file."""
        return self._last is None

    def begin(self, beginning: Beginning) -> None:
        """Takes the first line of a file, alone or behind the file that it follows.

        Raises:
            UnusableLogError: lines are missing, or it follows another log.
        """
        self._check_server(beginning.server)
        if self._last is not None and beginning.after < self._last:
            # The part behind it stands there twice, or was lost and is here again; each line says.
            return
        self._check_gap(beginning.after + 1)
        known_id = self._ids.get(beginning.after, "")
        if known_id and beginning.after_id and known_id != beginning.after_id:
            raise self._two_logs(beginning.after)
        if beginning.after_id:
            self._check_written(beginning.after, beginning.after_id)
        self._last = beginning.after
        self._ids[beginning.after] = known_id or beginning.after_id

    def is_next(self, line: Line) -> bool:
        """Whether a line is the next one; one that stands there twice, as after an append that hung, is not.

        Raises:
            UnusableLogError: lines are missing, or it is not the line that was written.
        """
        self._check_server(line.server)
        if self._ids.get(line.seq) == line.line_id:
            return False
        if self._last is not None and line.seq <= self._last:
            if not self._reads_all:
                raise _StepsBackError
            raise self._two_logs(line.seq)
        self._check_gap(line.seq)
        self._check_written(line.seq, line.line_id)
        self._last = line.seq
        self._ids[line.seq] = line.line_id
        return True

    def _two_logs(self, seq: int) -> UnusableLogError:
        return UnusableLogError(
            f"`config.log_path`: in {self.path} line {seq} stands twice with different contents: two logs were"
            f" put together. {_REMEDY} keep the newer of the two alone"
        )

    def _check_server(self, server: str) -> None:
        if server != self.whence.server:
            raise UnusableLogError(
                f"`config.log_path`: {self.path} is the log of another homeserver, {server!r}: give each its own"
            )

    def _check_written(self, seq: int, line_id: str) -> None:
        written = self.whence.written
        if self._reads_all and seq == written and self.whence.written_id not in {"", line_id}:
            raise UnusableLogError(
                f"`config.log_path`: line {seq} of {self.path} is not the one that this database knows: it is the"
                " log of another database, or was not there when this one was begun. Restore the backup once more with"
                f" this file in its place. {_REMEDY} move it away and set `config.log_begins_at` to {written + 1}:"
                f" {_THEN}"
            )

    def _check_gap(self, seq: int) -> None:
        expected = (self.whence.seq if self._last is None else self._last) + 1
        is_known_beginning = self._last is None and seq <= expected
        if seq != expected and not is_known_beginning and seq != self.whence.begins_at:
            raise UnusableLogError(
                f"`config.log_path`: in {self.path} the lines {expected} to {seq - 1} are missing (was it"
                f" rotated?). Put the older part in front of it. If that is lost for good, set `config.log_begins_at`"
                f" to {seq}: what was closed in the missing part is then not closed again"
            )

    def check_end(self) -> None:
        """Raises `UnusableLogError` when the file ends before what was written."""
        last, written = self._last or 0, self.whence.written
        if last < written:
            raise UnusableLogError(
                f"`config.log_path`: {self.path} ends with line {last}, though {written} were written: it"
                f" is an older copy. {_REMEDY} move it away and set `config.log_begins_at` to {written + 1}: {_THEN}"
            )
