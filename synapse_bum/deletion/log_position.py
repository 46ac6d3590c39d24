"""How far the database knows the deletion log: one row, which exists while a log is kept.

A database that was restored from a backup knows less than there is.
"""

from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.deletion.log_file import START, Position

# One row, by its primary key.
_BEGIN: Final = (
    "INSERT INTO synapse_bum_deletion_log (only_row, known_bytes, fingerprint) VALUES (1, ?, ?) ON CONFLICT DO NOTHING"
)
_READ: Final = "SELECT known_bytes, fingerprint FROM synapse_bum_deletion_log"
_ADVANCE: Final = (
    "UPDATE synapse_bum_deletion_log SET known_bytes = ?, fingerprint = ? WHERE known_bytes = ? AND fingerprint = ?"
)
_FORGET: Final = "DELETE FROM synapse_bum_deletion_log"


class OvertakenError(Exception):
    """Another process has gone on with the log."""


def known_position(txn: Cursor) -> Position:
    """Reads how far the log is known; writes down, the first time, that one is kept."""
    txn.execute(_READ)
    row = txn.fetchone()
    if row is not None:
        return Position(*row)
    txn.execute(_BEGIN, attr.astuple(START))
    return START


def advance_position(txn: Cursor, old: Position, new: Position) -> None:
    """Notes that the log is known further, by compare-and-set.

    Raises:
        OvertakenError: the caller must roll back.
    """
    txn.execute(_ADVANCE, (*attr.astuple(new), *attr.astuple(old)))
    if txn.rowcount != 1:
        raise OvertakenError("another process writes the deletion log")


def forget_position(txn: Cursor) -> None:
    """Notes that no log is kept: nothing is owed to it any more."""
    txn.execute(_FORGET)
