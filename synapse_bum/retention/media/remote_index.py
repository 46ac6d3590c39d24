"""When which file of another server came here: our own index by age, since Synapse's table has none.

An entry is a hint where to look and never the truth: whoever deletes reads Synapse's row again. Entries come from two
sides: at each arrival, and from a walk over Synapse's table that finds what was there before, or was missed by a crash.
Entries of files that are gone are dropped when their time comes. What came while the system clock was behind counts
from the end of that (`homeserver/clock_lags.py`): its entry gets that time when it would be due.
"""

from collections.abc import Sequence
from typing import Any, Final

import attr
from synapse.module_api import LoggingTransaction

from synapse_bum.database import Cursor
from synapse_bum.homeserver.clock_lags import file_came_ts
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.remote_media_listing import (
    HAS_FOREIGN_THUMBNAILS,
    IS_STORED,
    THUMBNAIL_BYTES,
    CachedFile,
)

PAGE: Final = 5_000
"""Rows of Synapse's table that the walk looks at in one transaction."""

CURRENT_FOR_MS: Final = 2 * 86_400_000
"""So long after a complete walk the index is believed to hold everything: walks end a day apart."""

# By primary key.
_NOTE: Final = (
    "INSERT INTO synapse_bum_retention_remote_media (media_origin, media_id, created_ts) VALUES (?, ?, ?)"
    " ON CONFLICT (media_origin, media_id) DO UPDATE SET created_ts = excluded.created_ts"
)
# By primary key, compare-and-set: an entry that is about a later download meanwhile is not meant.
_FORGET: Final = (
    "DELETE FROM synapse_bum_retention_remote_media WHERE media_origin = ? AND media_id = ? AND created_ts = ?"
)
_CORRECT: Final = (
    "UPDATE synapse_bum_retention_remote_media SET created_ts = ?"
    " WHERE media_origin = ? AND media_id = ? AND created_ts = ?"
)
# Along the index on created_ts, with a lookup in Synapse's unique index for each entry.
_READ: Final = (
    f"SELECT i.created_ts, i.media_origin, i.media_id, r.filesystem_id, {file_came_ts('r')}, r.media_type,"  # noqa: S608
    f" r.media_length, {HAS_FOREIGN_THUMBNAILS}"
    " FROM (SELECT created_ts, media_origin, media_id FROM synapse_bum_retention_remote_media"
    " WHERE created_ts <= ? AND (created_ts, media_origin, media_id) > (?, ?, ?)"
    " ORDER BY created_ts, media_origin, media_id LIMIT ?) AS i"
    " LEFT JOIN remote_media_cache AS r ON r.media_origin = i.media_origin AND r.media_id = i.media_id"
    f" AND {IS_STORED}"
    " ORDER BY i.created_ts, i.media_origin, i.media_id"
)

# The end of a page by the unique index alone. Then the page, with a lookup in our primary key for each row: as a
# subquery, because PostgreSQL may join all of both tables when it misjudges the range.
_PAGE_END: Final = (
    "SELECT media_origin, media_id FROM remote_media_cache WHERE (media_origin, media_id) > (?, ?)"
    " ORDER BY media_origin, media_id LIMIT 1 OFFSET ?"
)
_ADD_MISSING: Final = (
    "INSERT INTO synapse_bum_retention_remote_media (media_origin, media_id, created_ts)"  # noqa: S608
    " SELECT r.media_origin, r.media_id, r.created_ts FROM ("
    "SELECT media_origin, media_id, created_ts, media_length, quarantined_by FROM remote_media_cache"
    " WHERE (media_origin, media_id) > (?, ?) ORDER BY media_origin, media_id LIMIT ?) AS r"
    f" WHERE {IS_STORED} AND r.created_ts <> COALESCE((SELECT i.created_ts FROM synapse_bum_retention_remote_media AS i"
    " WHERE i.media_origin = r.media_origin AND i.media_id = r.media_id), 1 - 9223372036854775807)"
    " ON CONFLICT (media_origin, media_id) DO UPDATE SET created_ts = excluded.created_ts"
)
# One row each. The UPDATE takes its lock, so that two who walk follow each other.
_LOCK_WALK: Final = "UPDATE synapse_bum_retention_remote_walk SET only_row = only_row"
_GET_WALK: Final = (
    "SELECT media_origin, media_id, pages, begun_ts, completed_ts, completed_pages"
    " FROM synapse_bum_retention_remote_walk"
)
_PUT_WALK: Final = (
    "UPDATE synapse_bum_retention_remote_walk SET media_origin = ?, media_id = ?, pages = ?, begun_ts = ?,"
    " completed_ts = ?, completed_pages = ?"
)

# What is expired, by server: along our index on created_ts with a lookup for each; without a complete index all of
# Synapse's table, 1.5 s at ten million rows.
_MEASURED: Final = f"r.media_origin, count(*), SUM(r.media_length), SUM({THUMBNAIL_BYTES}), MIN(r.created_ts)"
_FROM_INDEX: Final = (
    " FROM synapse_bum_retention_remote_media AS i JOIN remote_media_cache AS r"
    f" ON r.media_origin = i.media_origin AND r.media_id = i.media_id AND {IS_STORED} WHERE i.created_ts <= ?"
)
_FROM_SYNAPSE: Final = f" FROM remote_media_cache AS r WHERE {IS_STORED}"
_EXPIRED: Final = f" AND r.created_ts <= ? AND {file_came_ts('r')} <= ?"
# Reads no more than the limit says, from the index; from Synapse's table as much as it takes to find so many files.
_COUNT_ENTRIES: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM synapse_bum_retention_remote_media AS i LIMIT ?) AS counted"
)
_COUNT_FILES: Final = f"SELECT count(*) FROM (SELECT 1{_FROM_SYNAPSE} LIMIT ?) AS counted"  # noqa: S608
_COUNT_ROWS: Final = "SELECT count(*) FROM (SELECT 1 FROM remote_media_cache LIMIT ?) AS counted"


@attr.s(auto_attribs=True, frozen=True, slots=True, order=True)
class Position:
    """A place in the index, which is ordered by it.

    Attributes:
        created_ts: when the file came, as the index knows it; ms since the epoch.
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
    """

    created_ts: int
    server_name: str
    media_id: str


START: Final = Position(1 - 2**63, "", "")
"""Before all entries, also of files that came when a clock said it was before 1970."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Entry:
    """One entry, with what Synapse's table says now.

    Attributes:
        position: of the entry.
        file: None when there is no such file any more, or it is being deleted.
    """

    position: Position
    file: CachedFile | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Walk:
    """How far the walk over Synapse's table has come.

    Attributes:
        server_name: of the last row that was looked at in this pass.
        media_id: of that row.
        pages: of this pass so far.
        begun_ts: when this pass began; None between two passes; ms since the epoch.
        completed_ts: when the last complete pass ended; None when there was none.
        completed_pages: how many pages that one had.
    """

    server_name: str = ""
    media_id: str = ""
    pages: int = 0
    begun_ts: int | None = None
    completed_ts: int | None = None
    completed_pages: int = 0

    def is_current(self, now_ms: int) -> bool:
        """Whether the index is believed to hold everything."""
        return self.completed_ts is not None and now_ms - self.completed_ts < CURRENT_FOR_MS


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Measured:
    """What is expired of one server.

    Attributes:
        server_name: where the files were uploaded.
        items: how many.
        size_bytes: of them, thumbnails included.
        oldest_ts: when the oldest came; ms since the epoch.
    """

    server_name: str
    items: int
    size_bytes: int
    oldest_ts: int


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Oldest:
    """One expired file.

    Attributes:
        server_name: where it was uploaded.
        media_id: as in the mxc URI.
        created_ts: when it was first received here; ms since the epoch.
        size_bytes: of it, thumbnails included.
    """

    server_name: str
    media_id: str
    created_ts: int
    size_bytes: int


def note(txn: Cursor, server_name: str, media_id: str, created_ts: int) -> None:
    """Writes down that a file came."""
    txn.execute(_NOTE, (server_name, media_id, created_ts))


def forget(txn: LoggingTransaction, entries: Sequence[Position]) -> None:
    """Drops entries whose files need no looking after any more."""
    txn.execute_batch(_FORGET, [(entry.server_name, entry.media_id, entry.created_ts) for entry in entries])


def correct(txn: LoggingTransaction, entries: Sequence[Entry]) -> None:
    """Gives entries the time that Synapse's row has."""
    txn.execute_batch(
        _CORRECT,
        [
            (entry.file.created_ts, entry.position.server_name, entry.position.media_id, entry.position.created_ts)
            for entry in entries
            if entry.file is not None
        ],
    )


def read(txn: Cursor, after: Position, cutoff_ts: int, limit: int) -> list[Entry]:
    """Reads the oldest entries that are expired, with Synapse's rows.

    Args:
        txn: in a transaction.
        after: behind which to begin.
        cutoff_ts: entries up to this time; ms since the epoch.
        limit: at most so many.
    """
    txn.execute(_READ, (cutoff_ts, after.created_ts, after.server_name, after.media_id, limit))
    return [_entry(row) for row in txn.fetchall()]


def _entry(row: tuple[Any, ...]) -> Entry:
    noted_ts, server_name, media_id, file_id, created_ts, media_type, size_bytes, foreign_thumbnails = row
    position = Position(noted_ts, server_name, media_id)
    if created_ts is None:
        return Entry(position, None)
    media = StoredMedia(server_name, media_id, file_id, local=False)
    return Entry(position, CachedFile(media, created_ts, media_type, size_bytes, bool(foreign_thumbnails)))


def get_walk(txn: Cursor) -> Walk:
    """Reads how far the walk has come."""
    txn.execute(_GET_WALK)
    row = txn.fetchone()
    if row is None:
        raise LookupError("the row of the walk over remote media is missing")
    return Walk(*row)


def walk_anew(txn: Cursor, now_ms: int) -> None:
    """Has the walk begin at the start of the table, wherever it is."""
    txn.execute(_LOCK_WALK)
    walk = get_walk(txn)
    _put(txn, attr.evolve(walk, server_name="", media_id="", pages=0, begun_ts=now_ms))


def walk_page(txn: LoggingTransaction, now_ms: int) -> Walk:
    """Looks at the next page of Synapse's table, and adds what the index lacks.

    A row that is written behind the walk, or among the last rows of a page while it is read, is left to the next pass.

    Args:
        txn: of `Database.run`.
        now_ms: ms since the epoch.

    Returns:
        How far the walk has come now: `begun_ts` is None when this was the last page.
    """
    txn.execute(_LOCK_WALK)
    walk = get_walk(txn)
    after = walk.server_name, walk.media_id
    txn.execute(_PAGE_END, (*after, PAGE - 1))
    end = txn.fetchone()
    txn.execute(_ADD_MISSING, (*after, PAGE))
    pages = walk.pages + 1
    if end is None:
        walk = Walk(completed_ts=now_ms, completed_pages=pages)
    else:
        begun_ts = now_ms if walk.begun_ts is None else walk.begun_ts
        walk = attr.evolve(walk, server_name=end[0], media_id=end[1], pages=pages, begun_ts=begun_ts)
    _put(txn, walk)
    return walk


def _put(txn: Cursor, walk: Walk) -> None:
    txn.execute(_PUT_WALK, attr.astuple(walk))


def has_more_rows(txn: Cursor, limit: int) -> bool:
    """Whether Synapse's table has more rows than some number, tombstones included; counts no further."""
    return _counted(txn, _COUNT_ROWS, limit + 1) > limit


def has_at_least(txn: Cursor, items: int, now_ms: int) -> bool:
    """Whether so many files are stored, of whatever age; too many are believed rather than too few."""
    sql = _COUNT_ENTRIES if get_walk(txn).is_current(now_ms) else _COUNT_FILES
    return _counted(txn, sql, items) >= items


def _counted(txn: Cursor, sql: str, limit: int) -> int:
    txn.execute(sql, (limit,))
    row = txn.fetchone()
    return int(row[0]) if row else 0


def measure(txn: Cursor, cutoff_ts: int, now_ms: int) -> list[Measured]:
    """Measures what is expired, for each server; right whether or not the index is complete."""
    source, parameters = _expired(txn, cutoff_ts, now_ms)
    txn.execute(f"SELECT {_MEASURED}{source} GROUP BY r.media_origin", parameters)
    # PostgreSQL sums to numeric.
    return [
        Measured(server_name, items, int(files) + int(thumbnails), oldest_ts)
        for server_name, items, files, thumbnails, oldest_ts in txn.fetchall()
    ]


def oldest(txn: Cursor, cutoff_ts: int, now_ms: int, servers: Sequence[str], limit: int) -> list[Oldest]:
    """Reads the oldest expired files of some servers; reads as much as `measure`.

    Args:
        txn: in a transaction.
        cutoff_ts: files up to this time; ms since the epoch.
        now_ms: the present.
        servers: names; not so many that they are too many parameters.
        limit: at most so many files.
    """
    source, parameters = _expired(txn, cutoff_ts, now_ms)
    places = ", ".join("?" * len(servers))
    txn.execute(
        f"SELECT r.media_origin, r.media_id, r.created_ts, r.media_length + {THUMBNAIL_BYTES}{source}"
        f" AND r.media_origin IN ({places}) ORDER BY r.created_ts LIMIT ?",
        (*parameters, *servers, limit),
    )
    return [Oldest(server_name, media_id, ts, int(size)) for server_name, media_id, ts, size in txn.fetchall()]


def _expired(txn: Cursor, cutoff_ts: int, now_ms: int) -> tuple[str, tuple[int, ...]]:
    """What to select expired files from, with its parameters: the index if it is complete, else Synapse's table."""
    if get_walk(txn).is_current(now_ms):
        return _FROM_INDEX + _EXPIRED, (cutoff_ts, cutoff_ts, cutoff_ts)
    return _FROM_SYNAPSE + _EXPIRED, (cutoff_ts, cutoff_ts)
