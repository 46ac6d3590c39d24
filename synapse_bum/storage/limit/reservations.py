"""Bytes of uploads that the ledger does not know yet: from the moment one is let in until the ledger has counted it.

An upload is never counted too little, whatever dies in between, because no clock decides about it:

1. `reserve`: it is let in and written down, in one transaction that no other of its kind overlaps.
2. Synapse writes the row of the file.
3. `finish`: the note stays, marked.
4. `settle`: the transaction that counts removes marked notes. It works on one snapshot of the database: a note that is
   marked in it was marked after the row was committed, so the row is in the sum of the same snapshot.

Between 2 and 4 an upload may count twice, for the length of an update of the ledger at most. Of a process that died
between 1 and 3, its next start marks the notes.
"""

from collections.abc import Callable
from typing import Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Cursor
from synapse_bum.homeserver import transaction_locks
from synapse_bum.storage.limit.decision import Limits, Refusal, Used, decide

LONGEST_UPLOAD_MS: Final = 3_600_000
"""A note that is older belongs to a process that never came back; nothing takes an hour once the body is here."""

_TURN: Final = 0x73796E62756D0011
"""Key of the lock under which uploads are let in, one after the other."""

# All read the whole table: it holds the uploads of a minute.
_ON_THEIR_WAY: Final = (
    "SELECT COALESCE(SUM(size_bytes), 0), COALESCE(SUM(CASE WHEN user_id = ? THEN size_bytes ELSE 0 END), 0)"
    " FROM synapse_bum_storage_uploads"
)
_FINISH_EARLIER: Final = (
    "UPDATE synapse_bum_storage_uploads SET finished = 1 WHERE process = ? AND run <> ? AND finished = 0"
)
_SETTLE: Final = "DELETE FROM synapse_bum_storage_uploads WHERE finished = 1 OR reserved_ts < ?"
_RESERVE: Final = (
    "INSERT INTO synapse_bum_storage_uploads (ticket, process, run, user_id, size_bytes, reserved_ts)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
# By primary key.
_FINISH: Final = "UPDATE synapse_bum_storage_uploads SET finished = 1 WHERE ticket = ?"
_FREE: Final = "DELETE FROM synapse_bum_storage_uploads WHERE ticket = ?"

Counted = Callable[[LoggingTransaction, str], Used | None]
"""What the ledger says of everybody and of one user (his id); None before the first count."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Process:
    """Who carries out uploads.

    Attributes:
        name: of the process in this homeserver.
        run: of this start of it.
    """

    name: str
    run: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Upload:
    """An upload that wants to be let in.

    Attributes:
        ticket: names it.
        user_id: who uploads.
        size_bytes: of the file, without thumbnails.
        now_ms: ms since the epoch.
    """

    ticket: str
    user_id: str
    size_bytes: int
    now_ms: int


def reserve(
    txn: LoggingTransaction, upload: Upload, process: Process, limits: Limits, counted: Counted
) -> Refusal | None:
    """Let an upload in if it fits, and write it down.

    Args:
        txn: of `Database.run`.
        upload: which.
        process: who carries it out.
        limits: how much may be stored.
        counted: asks the ledger.

    Returns:
        why it is refused; None when it is let in.
    """
    transaction_locks.take_alone(txn, _TURN)
    # Before the ledger is read: what an update settles in between counts twice, and not never.
    txn.execute(_ON_THEIR_WAY, (upload.user_id,))
    pool_bytes, user_bytes = txn.fetchone() or (0, 0)
    known = counted(txn, upload.user_id)
    if known is None:
        return Refusal.UNKNOWN
    refusal = decide(limits, known.plus(Used(int(pool_bytes), int(user_bytes))), upload.size_bytes)
    if refusal is None:
        txn.execute(
            _RESERVE,
            (upload.ticket, process.name, process.run, upload.user_id, upload.size_bytes, upload.now_ms),
        )
    return refusal


def finish(txn: Cursor, ticket: str) -> None:
    """Note that an upload has ended, after its row was committed or will never be; the ledger counts what there is."""
    txn.execute(_FINISH, (ticket,))


def free(txn: Cursor, ticket: str) -> None:
    """Forget an upload of which nothing was stored."""
    txn.execute(_FREE, (ticket,))


def finish_earlier(txn: Cursor, process: Process) -> None:
    """Note that uploads which an earlier start of this process has begun have ended, one way or the other."""
    txn.execute(_FINISH_EARLIER, (process.name, process.run))


def settle(txn: Cursor, now_ms: int) -> None:
    """Forget uploads that the ledger knows now.

    Args:
        txn: the transaction in which the ledger counts: of `Database.run_on_snapshot`.
        now_ms: ms since the epoch.
    """
    txn.execute(_SETTLE, (now_ms - LONGEST_UPLOAD_MS,))
