"""What is about to change of stored files, for whoever keeps an account of them.

A note says what a file contributed before somebody deleted it or stored a thumbnail of it; what has become of it the
reader sees for himself. So a note may be false (nothing happened) or repeated, but it must be there before the change
is: in the same transaction or in an earlier one. Notes are only ever added, so nobody waits for anybody.

Nothing is noted until somebody begins to read. What nobody reads for a week is dropped, and the noting ends; whoever
comes back sees by the period that he has missed something.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import attr
from synapse.module_api import LoggingTransaction
from synapse.storage.engines import PostgresEngine

from synapse_bum.database import Cursor
from synapse_bum.homeserver.sql_lists import in_chunks, rows_of_marks
from synapse_bum.homeserver.stored_bytes import Name, Share, StoredFile, files_named

UNREAD_FOR_MS: Final = 7 * 86_400_000
"""Notes are dropped when the oldest is older."""

_COLUMNS: Final = "media_origin, media_id, created_ts, uploader, file_bytes, thumbnail_bytes, noted_ts"
_WIDTH: Final = len(_COLUMNS.split(","))

# One row, by its primary key. FOR SHARE has `begin_reading` wait until those who found that nobody reads are done.
_IS_READ: Final = "SELECT is_read FROM synapse_bum_deletion_tally_period WHERE only_row = 1"
_PERIOD: Final = "SELECT period FROM synapse_bum_deletion_tally_period WHERE only_row = 1 AND is_read = 1"
_BEGIN: Final = "UPDATE synapse_bum_deletion_tally_period SET period = period + 1, is_read = 1 WHERE is_read = 0"
_END: Final = (
    "UPDATE synapse_bum_deletion_tally_period SET is_read = 0 WHERE is_read = 1"
    # The first of the primary key, for rows are read in its order and then dropped.
    " AND (SELECT noted_ts FROM synapse_bum_deletion_tally ORDER BY id LIMIT 1) < ?"
)
_INSERT: Final = f"INSERT INTO synapse_bum_deletion_tally ({_COLUMNS}) VALUES {{}}"  # noqa: S608
# All of it: what an hour has brought. RETURNING needs SQLite 3.35.
_TAKE: Final = f"DELETE FROM synapse_bum_deletion_tally RETURNING id, {_COLUMNS}"  # noqa: S608
_DROP_UNREAD: Final = (
    "DELETE FROM synapse_bum_deletion_tally WHERE id IN (SELECT id FROM synapse_bum_deletion_tally ORDER BY id LIMIT ?)"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Note:
    """What a file contributed before something happened to it.

    Attributes:
        id: grows with each note.
        name: of the file.
        created_ts: of it; ms since the epoch.
        uploader: user id, or "".
        share: what it contributed.
        noted_ts: when that was written; ms since the epoch.
    """

    id: int
    name: Name
    created_ts: int
    uploader: str
    share: Share
    noted_ts: int


def note_changes(
    txn: LoggingTransaction, names: Collection[Name], now_ms: int, *, came_until_ts: int | None = None
) -> None:
    """Note that something is about to happen to files; those that contribute nothing are left out.

    Args:
        txn: of `Database.run`; the change follows in it, or after its commit.
        names: of the files.
        now_ms: ms since the epoch.
        came_until_ts: leave younger files out; ms since the epoch.
    """
    if names and _is_read(txn):
        files = files_named(txn, names, keep=True).values()
        old = [file for file in files if came_until_ts is None or file.created_ts <= came_until_ts]
        write_notes(txn, old, now_ms)


def write_notes(txn: Cursor, files: Iterable[StoredFile], now_ms: int) -> None:
    """Note what was read of files in the same transaction, which keeps them from being deleted: see `note_changes`."""
    contributing = [file for file in files if file.share.files]
    for chunk in in_chunks(contributing, _WIDTH):
        values = [value for file in chunk for value in _values(file, now_ms)]
        txn.execute(_INSERT.format(rows_of_marks(len(chunk), _WIDTH)), values)


def begin_reading(txn: Cursor) -> None:
    """Have changes noted from the commit on, if they are not yet.

    Args:
        txn: of `Database.run`. In it, this waits for all who change something and have not noted it.
    """
    txn.execute(_BEGIN)


def period(txn: Cursor) -> int | None:
    """Which period of noting this is; None when nothing is noted.

    Who has read in this period before has missed nothing since.
    """
    txn.execute(_PERIOD)
    row = txn.fetchone()
    return row[0] if row else None


def take_notes(txn: Cursor) -> list[Note]:
    """Read all notes in their order, and drop them.

    Args:
        txn: on a snapshot, so that the changes that are seen and the notes belong together.
    """
    txn.execute(_TAKE)
    return [
        Note(note_id, (origin, media_id), created_ts, uploader, Share(1, file_bytes, thumbnail_bytes), noted_ts)
        for note_id, origin, media_id, created_ts, uploader, file_bytes, thumbnail_bytes, noted_ts in sorted(
            txn.fetchall()
        )
    ]


def drop_unread(txn: Cursor, now_ms: int, limit: int) -> int:
    """Drop notes that nobody reads any more, and end the noting.

    Args:
        txn: of `Database.run`.
        now_ms: ms since the epoch.
        limit: at most so many.

    Returns:
        How many were dropped; fewer than `limit` when no more are left, or they are still read.
    """
    txn.execute(_END, (now_ms - UNREAD_FOR_MS,))
    if period(txn) is not None:
        return 0
    txn.execute(_DROP_UNREAD, (limit,))
    return txn.rowcount


def _is_read(txn: LoggingTransaction) -> bool:
    on_postgres = isinstance(txn.database_engine, PostgresEngine)
    txn.execute(f"{_IS_READ} FOR SHARE" if on_postgres else _IS_READ)
    row = txn.fetchone()
    return row is not None and bool(row[0])


def _values(file: StoredFile, now_ms: int) -> Sequence[object]:
    share = file.share
    return (
        file.origin,
        file.media_id,
        file.created_ts,
        file.uploader,
        share.file_bytes,
        share.thumbnail_bytes,
        now_ms,
    )
