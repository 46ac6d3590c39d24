"""How many bytes Synapse's tables say are stored: of some files, of those that came lately, or of all.

What counts: a file that was uploaded here, as soon as its length is known; a copy of a file of another server whose
length is not 0, which is what a tombstone has (`media_deletion.leave_tombstones`); thumbnails of such files. Files that
are quarantined, or hidden because they are being deleted, are still on the disk. The same bytes twice are two files.

Run on Synapse 1.133.0 and 1.163.2, with SQLite and PostgreSQL: `synapse/storage/databases/main/media_repository.py`,
tables `local_media_repository` (unique on `media_id`, index on `(user_id, created_ts)`), `remote_media_cache` (unique
on `(media_origin, media_id)`), and `local_media_repository_thumbnails` and `remote_media_cache_thumbnails`, whose
unique indexes begin with the same columns. None has an index on `created_ts` alone.
"""

from collections.abc import Collection, Iterable
from typing import Any, Final, TypeAlias

import attr
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction
from typing_extensions import Self

from synapse_bum.homeserver.database_pool import on_postgres
from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.sql_lists import in_chunks, marks, rows_of_marks

LOCAL: Final = ""
"""Stands for our own server where the name of another one would."""

_LONGEST_RESERVATION_MS: Final = 7 * 86_400_000
"""Stands for `unused_expiration_time` where that is not known; it is a day unless somebody has set it."""

Name: TypeAlias = tuple[str, str]
"""Names a file while it is there: `LOCAL` or the name of the server that it comes from, and the media id."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Share:
    """What files contribute to what is stored; also a difference of two such.

    Attributes:
        files: how many.
        file_bytes: of them, without thumbnails.
        thumbnail_bytes: of their thumbnails.
    """

    files: int = 0
    file_bytes: int = 0
    thumbnail_bytes: int = 0

    def __add__(self, other: "Share") -> "Share":
        return Share(
            self.files + other.files,
            self.file_bytes + other.file_bytes,
            self.thumbnail_bytes + other.thumbnail_bytes,
        )

    def __sub__(self, other: "Share") -> "Share":
        return Share(
            self.files - other.files,
            self.file_bytes - other.file_bytes,
            self.thumbnail_bytes - other.thumbnail_bytes,
        )


NO_SHARE: Final = Share()


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredFile:
    """One row of Synapse's tables of media.

    Attributes:
        origin: the server that it comes from; `LOCAL` for ours.
        media_id: as in the mxc URI.
        created_ts: when it was uploaded or fetched, or its id reserved; ms since the epoch. A file that was fetched
            again is told from the earlier one by it.
        uploader: user id; "" when nobody has uploaded it, as for all copies of files of other servers.
        share: what it contributes, with its thumbnails.
        is_reserved: whether nothing was uploaded to it so far.
    """

    origin: str
    media_id: str
    created_ts: int
    uploader: str
    share: Share
    is_reserved: bool

    @property
    def name(self) -> Name:
        """What the file is called."""
        return self.origin, self.media_id


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Parts:
    """What is stored, split by a time.

    Attributes:
        settled: of files that came at that time or earlier.
        recent: of files that came later.
    """

    settled: Share = NO_SHARE
    recent: Share = NO_SHARE

    @classmethod
    def of(cls, every: Share, recent: Share) -> Self:
        """Split what all files contribute."""
        return cls(every - recent, recent)

    def __add__(self, other: "Parts") -> "Parts":
        return Parts(self.settled + other.settled, self.recent + other.recent)


_LOCAL_FILE: Final = (
    "m.media_id, COALESCE(m.created_ts, 0), m.user_id, m.media_length,"
    # By the unique index of thumbnails.
    " COALESCE((SELECT SUM(t.thumbnail_length) FROM local_media_repository_thumbnails AS t"
    " WHERE t.media_id = m.media_id), 0)"
)
_REMOTE_FILE: Final = (
    "m.media_origin, m.media_id, COALESCE(m.created_ts, 0), m.media_length,"
    # By the unique index of thumbnails.
    " COALESCE((SELECT SUM(t.thumbnail_length) FROM remote_media_cache_thumbnails AS t"
    " WHERE t.media_origin = m.media_origin AND t.media_id = m.media_id), 0)"
)
# By the unique indexes: one search for each file. SQLite keeps the order of a CROSS JOIN.
_LOCAL_BY_ID: Final = f"SELECT {_LOCAL_FILE} FROM local_media_repository AS m WHERE m.media_id IN ({{}})"  # noqa: S608
_REMOTE_BY_ID: Final = (
    f"WITH wanted (o, i) AS (VALUES {{}}) SELECT {_REMOTE_FILE} FROM wanted"  # noqa: S608
    " CROSS JOIN remote_media_cache AS m WHERE m.media_origin = o AND m.media_id = i"
)
_KEEP_LOCAL: Final = ' ORDER BY m.media_id COLLATE "C" FOR KEY SHARE OF m'
_KEEP_REMOTE: Final = ' ORDER BY m.media_origin COLLATE "C", m.media_id COLLATE "C" FOR KEY SHARE OF m'

# All by the index on (user_id, created_ts).
_LATEST_BY_NOBODY: Final = (
    f"SELECT {_LOCAL_FILE} FROM local_media_repository AS m"  # noqa: S608
    " WHERE m.user_id IS NULL AND m.created_ts > ? AND {condition}"
)
# One range of the index for each known uploader, from his latest files up to the first of the next one: nobody is
# missed who is not known, but of him all files are looked at. OFFSET 0 keeps PostgreSQL from joining the whole table.
# It costs by uploaders, not by files: 0.11 s of processor time for 50,000 of them, half of what looking for each
# uploader in the index costs.
_LATEST_OF_KNOWN: Final = (
    f"SELECT {_LOCAL_FILE} FROM (SELECT u.user_id, LEAD(u.user_id) OVER (ORDER BY u.user_id) AS next_id"  # noqa: S608
    " FROM (SELECT '' AS user_id UNION ALL SELECT x.user_id FROM {known} AS x) AS u) AS k CROSS JOIN LATERAL ("
    "SELECT l.media_id, l.created_ts, l.user_id, l.media_length FROM local_media_repository AS l"
    " WHERE (l.user_id, l.created_ts) > (k.user_id, ?) AND l.user_id < k.next_id AND l.created_ts > ? OFFSET 0) AS m"
    " WHERE {condition}"
)
# One range: all files of the last known uploader, and of whoever would come after him.
_LATEST_OF_LAST: Final = (
    f"SELECT {_LOCAL_FILE} FROM local_media_repository AS m"  # noqa: S608
    " WHERE m.user_id >= COALESCE((SELECT MAX(x.user_id) FROM {known} AS x), '') AND m.created_ts > ? AND {condition}"
)
# SQLite needs no list: each uploader is found by one look, and his latest files by another.
_LATEST_ON_SQLITE: Final = (
    "WITH RECURSIVE uploaders (user_id) AS ("  # noqa: S608
    "SELECT (SELECT x.user_id FROM local_media_repository AS x WHERE x.user_id >= '' ORDER BY x.user_id LIMIT 1)"
    " UNION ALL SELECT (SELECT x.user_id FROM local_media_repository AS x WHERE x.user_id > u.user_id"
    " ORDER BY x.user_id LIMIT 1) FROM uploaders AS u WHERE u.user_id IS NOT NULL)"
    f" SELECT {_LOCAL_FILE} FROM uploaders AS u CROSS JOIN local_media_repository AS m"
    " WHERE m.user_id = u.user_id AND m.created_ts > ? AND {condition}"
)

# Full scans of the tables, on PostgreSQL in parallel, and hash joins of those of thumbnails with those of files, which
# are most of the cost: 6 s for two million files of each kind with a thumbnail each, on two busy cores.
_ALL_LOCAL: Final = (
    "SELECT m.user_id, COUNT(*), SUM(m.media_length), SUM(CASE WHEN m.created_ts > ? THEN 1 ELSE 0 END),"
    " SUM(CASE WHEN m.created_ts > ? THEN m.media_length ELSE 0 END)"
    " FROM local_media_repository AS m WHERE m.media_length IS NOT NULL GROUP BY m.user_id"
)
_ALL_LOCAL_THUMBNAILS: Final = (
    "SELECT m.user_id, SUM(t.thumbnail_length), SUM(CASE WHEN m.created_ts > ? THEN t.thumbnail_length ELSE 0 END)"
    " FROM local_media_repository_thumbnails AS t JOIN local_media_repository AS m ON m.media_id = t.media_id"
    " WHERE m.media_length IS NOT NULL GROUP BY m.user_id"
)
_ALL_REMOTE: Final = (
    "SELECT COUNT(*), SUM(m.media_length), SUM(CASE WHEN m.created_ts > ? THEN 1 ELSE 0 END),"
    " SUM(CASE WHEN m.created_ts > ? THEN m.media_length ELSE 0 END)"
    " FROM remote_media_cache AS m WHERE m.media_length > 0"
)
_ALL_REMOTE_THUMBNAILS: Final = (
    "SELECT SUM(t.thumbnail_length), SUM(CASE WHEN m.created_ts > ? THEN t.thumbnail_length ELSE 0 END)"
    " FROM remote_media_cache_thumbnails AS t JOIN remote_media_cache AS m"
    " ON m.media_origin = t.media_origin AND m.media_id = t.media_id WHERE m.media_length > 0"
)
# Compiling what reads an index 50,000 times costs as much as reading it: 0.1 s. Sums by uploader don't fit into the
# 4 MB that PostgreSQL takes by default.
_PLANNING: Final = ("SET LOCAL jit = off", "SET LOCAL work_mem = '32MB'")
_REMOTE_SINCE: Final = (
    "SELECT m.media_origin, m.media_id, m.created_ts FROM remote_media_cache AS m WHERE m.created_ts > ?"
)


def name_of(media: StoredMedia) -> Name:
    """What a file is called here."""
    return (LOCAL if media.local else media.server_name), media.media_id


def files_named(txn: LoggingTransaction, names: Collection[Name], *, keep: bool = False) -> dict[Name, StoredFile]:
    """Look files up; those that have no row are not in the answer.

    Args:
        txn: in a transaction.
        names: of the files.
        keep: have whoever deletes one of them wait until the end of this transaction. Always in the same order, which
            is that of `media_deletion.lock`. SQLite has one writer at a time anyway.
    """
    keep = keep and on_postgres(txn)
    local = sorted({media_id for origin, media_id in names if origin == LOCAL})
    remote = sorted({name for name in names if name[0] != LOCAL})
    found: dict[Name, StoredFile] = {}
    for ids in in_chunks(local, 1):
        txn.execute(_LOCAL_BY_ID.format(marks(len(ids))) + (_KEEP_LOCAL if keep else ""), ids)
        found.update((file.name, file) for file in map(_local_file, txn.fetchall()))
    for chunk in in_chunks(remote, 2):
        sql = _REMOTE_BY_ID.format(rows_of_marks(len(chunk), 2)) + (_KEEP_REMOTE if keep else "")
        txn.execute(sql, [part for name in chunk for part in name])
        found.update((file.name, file) for file in map(_remote_file, txn.fetchall()))
    return found


def prepare_sums(txn: LoggingTransaction) -> None:
    """Has PostgreSQL plan what follows in a transaction as it is best for the queries of this file."""
    if on_postgres(txn):
        for setting in _PLANNING:
            txn.execute(setting)


def local_files_since(
    txn: LoggingTransaction, after_ts: int, known: str, *, only_reserved: bool = False
) -> list[StoredFile]:
    """The local files that came after a time.

    Args:
        txn: in a transaction.
        after_ts: ms since the epoch.
        known: a table with an index on its column `user_id`. On PostgreSQL the files of whoever is in it are found
            fast; those of others are found as well.
        only_reserved: leave out those to which something was uploaded.
    """
    names = {"known": known, "condition": "m.media_length IS NULL" if only_reserved else "1 = 1"}
    queries: tuple[tuple[str, int], ...] = ((_LATEST_BY_NOBODY, 1), (_LATEST_ON_SQLITE, 1))
    if on_postgres(txn):
        queries = ((_LATEST_BY_NOBODY, 1), (_LATEST_OF_KNOWN, 2), (_LATEST_OF_LAST, 1))
    files: list[StoredFile] = []
    for sql, times in queries:
        txn.execute(sql.format_map(names), (after_ts,) * times)
        files += map(_local_file, txn.fetchall())
    return files


def all_local(txn: LoggingTransaction, settled_ts: int) -> dict[str, Parts]:
    """Sum up all local files by their uploaders; "" are those that nobody has uploaded.

    Args:
        txn: in a transaction on a snapshot.
        settled_ts: splits the sums; ms since the epoch.
    """
    txn.execute(_ALL_LOCAL_THUMBNAILS, (settled_ts,))
    thumbnails = {user_id: (_number(size), _number(recent)) for user_id, size, recent in txn.fetchall()}
    txn.execute(_ALL_LOCAL, (settled_ts, settled_ts))
    found: dict[str, Parts] = {}
    for user_id, files, size, recent_files, recent_size in txn.fetchall():
        thumbnail_bytes, recent_thumbnail_bytes = thumbnails.get(user_id, (0, 0))
        parts = Parts.of(
            Share(files, _number(size), thumbnail_bytes),
            Share(_number(recent_files), _number(recent_size), recent_thumbnail_bytes),
        )
        # Null and "" are both nobody.
        found[user_id or ""] = found[user_id or ""] + parts if (user_id or "") in found else parts
    return found


def all_remote(txn: LoggingTransaction, settled_ts: int) -> Parts:
    """Sum up all copies of files of other servers, as `all_local`."""
    txn.execute(_ALL_REMOTE, (settled_ts, settled_ts))
    files, size, recent_files, recent_size = map(_number, _only_row(txn))
    txn.execute(_ALL_REMOTE_THUMBNAILS, (settled_ts,))
    thumbnails, recent_thumbnails = map(_number, _only_row(txn))
    return Parts.of(Share(files, size, thumbnails), Share(recent_files, recent_size, recent_thumbnails))


def all_remote_since(txn: LoggingTransaction, after_ts: int) -> list[tuple[Name, int]]:
    """Which copies of files of other servers came after a time, and when; ms since the epoch."""
    txn.execute(_REMOTE_SINCE, (after_ts,))
    return [((origin, media_id), created_ts) for origin, media_id, created_ts in txn.fetchall()]


def reservation_lifetime_ms(api: ModuleApi) -> int:
    """How long after it was reserved something can be uploaded to an id (`unused_expiration_time`), at most."""
    # A process without the media repository does not read the setting.
    lifetime_ms: int = getattr(api._hs.config.media, "unused_expiration_time", _LONGEST_RESERVATION_MS)
    return lifetime_ms


def total(shares: Iterable[Share]) -> Share:
    """The sum of some."""
    files = file_bytes = thumbnail_bytes = 0
    for share in shares:
        files += share.files
        file_bytes += share.file_bytes
        thumbnail_bytes += share.thumbnail_bytes
    return Share(files, file_bytes, thumbnail_bytes)


def _local_file(row: tuple[Any, ...]) -> StoredFile:
    media_id, created_ts, user_id, size, thumbnails = row
    share = NO_SHARE if size is None else Share(1, size, int(thumbnails))
    return StoredFile(LOCAL, media_id, created_ts, user_id or "", share, is_reserved=size is None)


def _remote_file(row: tuple[Any, ...]) -> StoredFile:
    origin, media_id, created_ts, size, thumbnails = row
    share = Share(1, size, int(thumbnails)) if size else NO_SHARE
    return StoredFile(origin, media_id, created_ts, "", share, is_reserved=False)


def _only_row(txn: LoggingTransaction) -> tuple[Any, ...]:
    """The row of a query that has exactly one."""
    row: tuple[Any, ...] = txn.fetchall()[0]
    return row


def _number(value: Any) -> int:  # noqa: ANN401 - PostgreSQL sums to numeric; a sum of nothing is null
    return int(value or 0)
