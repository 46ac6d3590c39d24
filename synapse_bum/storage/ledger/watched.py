"""Which files the ledger watches, and which copies of files of other servers came lately."""

from collections.abc import Collection, Iterable
from typing import Final

import attr

from synapse_bum.database import Cursor
from synapse_bum.homeserver.sql_lists import in_chunks, rows_of_marks
from synapse_bum.homeserver.stored_bytes import Name, Share
from synapse_bum.storage.ledger.settling import Watched

_COLUMNS: Final = "media_origin, media_id, created_ts, uploader, files, file_bytes, thumbnail_bytes, until_ts"
_WIDTH: Final = len(_COLUMNS.split(","))
_ARRIVAL_WIDTH: Final = 3

# Whole tables: reserved ids of the last two days, what was noted in the last hour or two, what came in the last hour.
_READ: Final = f"SELECT {_COLUMNS} FROM synapse_bum_storage_watched"  # noqa: S608
_DROP: Final = "DELETE FROM synapse_bum_storage_watched"
_INSERT: Final = f"INSERT INTO synapse_bum_storage_watched ({_COLUMNS}) VALUES {{}}"  # noqa: S608
_ARRIVALS: Final = "SELECT DISTINCT media_origin, media_id FROM synapse_bum_storage_arrivals"
_DROP_ARRIVALS: Final = "DELETE FROM synapse_bum_storage_arrivals WHERE created_ts <= ?"
# By primary key.
_NOTE_ARRIVALS: Final = (
    "INSERT INTO synapse_bum_storage_arrivals (media_origin, media_id, created_ts) VALUES {} ON CONFLICT DO NOTHING"
)


def watched_files(txn: Cursor) -> list[Watched]:
    """Reads which files are watched."""
    txn.execute(_READ)
    return [
        Watched((origin, media_id), created_ts, uploader, Share(files, file_bytes, thumbnail_bytes), until_ts)
        for origin, media_id, created_ts, uploader, files, file_bytes, thumbnail_bytes, until_ts in txn.fetchall()
    ]


def replace_watched(txn: Cursor, watched: Collection[Watched]) -> None:
    """Makes these the files that are watched."""
    txn.execute(_DROP)
    for chunk in in_chunks(list(watched), _WIDTH):
        values = [
            value
            for watch in chunk
            for value in (*watch.name, watch.created_ts, watch.uploader, *attr.astuple(watch.share), watch.until_ts)
        ]
        txn.execute(_INSERT.format(rows_of_marks(len(chunk), _WIDTH)), values)


def note_arrivals(txn: Cursor, arrivals: Iterable[tuple[Name, int]]) -> None:
    """Notes that copies of files of other servers come, with the time that their rows say; ms since the epoch."""
    for chunk in in_chunks(sorted(arrivals), _ARRIVAL_WIDTH):
        values = [value for name, created_ts in chunk for value in (*name, created_ts)]
        txn.execute(_NOTE_ARRIVALS.format(rows_of_marks(len(chunk), _ARRIVAL_WIDTH)), values)


def arrived(txn: Cursor) -> list[Name]:
    """Reads which copies may have come since `forget_arrivals`."""
    txn.execute(_ARRIVALS)
    return [(origin, media_id) for origin, media_id in txn.fetchall()]


def forget_arrivals(txn: Cursor, until_ts: int) -> None:
    """Drops notes of what came until a time; ms since the epoch."""
    txn.execute(_DROP_ARRIVALS, (until_ts,))
