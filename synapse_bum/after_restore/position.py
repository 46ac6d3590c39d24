"""How far the database knows the recovery log, and up to which line each source was brought up to date.

A database that was restored from a backup knows less than there is.
"""

from collections.abc import Iterable
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.deletion.log_file import START, Position

# One row, by its primary key.
_BEGIN: Final = (
    "INSERT INTO synapse_bum_recovery_log (only_row, last_seq, known_bytes, fingerprint) VALUES (1, 0, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_READ: Final = "SELECT last_seq, last_line_id, known_bytes, fingerprint FROM synapse_bum_recovery_log"
_ADVANCE: Final = (
    "UPDATE synapse_bum_recovery_log SET last_seq = ?, last_line_id = ?, known_bytes = ?, fingerprint = ?"
    " WHERE last_seq = ?"
)
_AGREE: Final = (
    "UPDATE synapse_bum_recovery_log SET agreed_count = agreed_count + 1"
    " WHERE last_seq = ? AND last_line_id = ? AND known_bytes = ? AND fingerprint = ?"
)
_AGREED: Final = "SELECT agreed_count FROM synapse_bum_recovery_log"
# A row for each source: five or so.
_SOURCES: Final = "SELECT source, known_seq FROM synapse_bum_recovery_sources"
_PUT_SOURCE: Final = (
    "INSERT INTO synapse_bum_recovery_sources (source, known_seq) VALUES (?, ?)"
    " ON CONFLICT (source) DO UPDATE SET known_seq = excluded.known_seq"
)
# Those that are up to date stay so, also while their module is not loaded. Reads those few rows.
_KEEP_UP: Final = "UPDATE synapse_bum_recovery_sources SET known_seq = ? WHERE known_seq = ?"
_LEAVE_BEHIND: Final = (
    "INSERT INTO synapse_bum_recovery_sources (source, known_seq) VALUES (?, ?) ON CONFLICT DO NOTHING"
)


class OvertakenError(Exception):
    """Another process has gone on with the log."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class End:
    """The last line that is known.

    Attributes:
        seq: its number; 0 before the first one.
        line_id: its id; empty before the first one, and where a database is older than this column.
        position: behind it, or behind the line that begins a new file; `START` as long as nothing is known of any.
    """

    seq: int
    line_id: str
    position: Position


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Known:
    """What the database knows of the log.

    Attributes:
        end: its last line.
        sources: by name, up to which line each was brought up to date.
    """

    end: End
    sources: dict[str, int]

    @property
    def last_seq(self) -> int:
        """Number of the last line; 0 before the first one."""
        return self.end.seq

    def seq_of(self, source: str) -> int:
        """Up to which line a source was brought up to date; a new one has nothing in the part that is known."""
        return self.sources.get(source, self.last_seq)


def known(txn: Cursor) -> Known:
    """Reads how far the log is known."""
    txn.execute(_READ)
    row = txn.fetchone()
    if row is None:
        txn.execute(_BEGIN, attr.astuple(START))
        row = (0, "", *attr.astuple(START))
    txn.execute(_SOURCES)
    return Known(End(row[0], row[1], Position(*row[2:])), dict(txn.fetchall()))


def advance(txn: Cursor, old_seq: int, new: End, sources: Iterable[str]) -> None:
    """Notes that the log is known further, by compare-and-set.

    Args:
        txn: in a transaction.
        old_seq: what `known` has said.
        new: the last line now.
        sources: that know everything up to there.

    Raises:
        OvertakenError: the caller must roll back.
    """
    txn.execute(_ADVANCE, (new.seq, new.line_id, *attr.astuple(new.position), old_seq))
    if txn.rowcount != 1:
        raise OvertakenError("another process writes the recovery log")
    _put(txn, new.seq, sources)


def agree(txn: Cursor, end: End) -> None:
    """Notes that file and database agree, as somebody has just seen who read both; see `waiting.py`.

    Raises:
        OvertakenError: the database is not as it was when that was seen.
    """
    txn.execute(_AGREE, (end.seq, end.line_id, *attr.astuple(end.position)))
    if txn.rowcount != 1:
        raise OvertakenError("the database has changed under this process, or another one writes the recovery log")


def agreed_count(txn: Cursor) -> int:
    """Returns a number that grows with each `agree`."""
    txn.execute(_AGREED)
    row = txn.fetchone()
    return 0 if row is None else int(row[0])


def keep_up(txn: Cursor, old_seq: int, new_seq: int) -> None:
    """Notes that lines were added which the database knows: who was up to date is so still."""
    txn.execute(_KEEP_UP, (new_seq, old_seq))


def leave_behind(txn: Cursor, old_seq: int, sources: Iterable[str]) -> None:
    """Notes for sources that are not loaded (yet) that they know the log only up to a line."""
    for source in sources:
        txn.execute(_LEAVE_BEHIND, (source, old_seq))


def _put(txn: Cursor, new_seq: int, sources: Iterable[str]) -> None:
    for source in sources:
        txn.execute(_PUT_SOURCE, (source, new_seq))
