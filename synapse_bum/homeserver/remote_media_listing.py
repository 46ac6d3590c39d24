"""Files of other servers in Synapse's tables: what counts as stored, when a new one comes, and leftovers of old ones.

Synapse fetches no thumbnails from other servers; it makes its own from the file, after the file's row. Rows of
thumbnails without one are left where a row was removed alone, as `media.watch_remote_downloads` does with a stale one.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/storage/databases/main/media_repository.py`
(`store_cached_remote_media`, `store_remote_media_thumbnail`), tables `remote_media_cache` and
`remote_media_cache_thumbnails`, with unique indexes that begin with `(media_origin, media_id)`, and no index on
`created_ts`.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attr
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER

IS_STORED: Final = (
    "r.media_length IS NOT NULL AND (r.quarantined_by IS NULL"
    f" OR r.quarantined_by NOT IN ('{HIDDEN_MARKER}', '{TOMBSTONE_MARKER}'))"
)
"""SQL: whether the row `r` of `remote_media_cache` has a file that nobody is deleting; a quarantined one is a file."""

# By the unique index: one lookup for each file.
THUMBNAIL_BYTES: Final = (
    "COALESCE((SELECT SUM(t.thumbnail_length) FROM remote_media_cache_thumbnails AS t"
    " WHERE t.media_origin = r.media_origin AND t.media_id = r.media_id), 0)"
)
"""SQL: the bytes of all thumbnails of the row `r` of `remote_media_cache`."""

HAS_FOREIGN_THUMBNAILS: Final = (
    "EXISTS (SELECT 1 FROM remote_media_cache_thumbnails AS t WHERE t.media_origin = r.media_origin"
    " AND t.media_id = r.media_id AND t.filesystem_id <> r.filesystem_id)"
)
"""SQL: whether the row `r` has thumbnails whose rows still name an earlier download's file: see `adopt_thumbnails`."""

_ADOPT: Final = (
    "UPDATE remote_media_cache_thumbnails SET filesystem_id = ? WHERE media_origin = ? AND media_id = ?"
    " AND filesystem_id <> ?"
)

# Ranges of the unique indexes, cut off by LIMIT in a subquery, and a lookup for each row as a scalar subquery:
# PostgreSQL misjudges ranges of pairs, and would read or join whole tables.
_THUMBNAILS_PAGE_END: Final = (
    "SELECT media_origin, media_id FROM remote_media_cache_thumbnails WHERE (media_origin, media_id) > (?, ?)"
    " ORDER BY media_origin, media_id LIMIT 1 OFFSET ?"
)
_ABANDONED: Final = (
    "SELECT DISTINCT t.media_origin, t.media_id FROM ("
    "SELECT media_origin, media_id FROM remote_media_cache_thumbnails WHERE (media_origin, media_id) > (?, ?)"
    " ORDER BY media_origin, media_id LIMIT ?) AS t"
    " WHERE (SELECT 1 FROM remote_media_cache AS r WHERE r.media_origin = t.media_origin AND r.media_id = t.media_id)"
    " IS NULL"
)
_DROP_ABANDONED: Final = "DELETE FROM remote_media_cache_thumbnails WHERE media_origin = ? AND media_id = ?"

Key: TypeAlias = tuple[str, str]
"""Server name and media id of a remote file."""

NoteArrival = Callable[[str, str, int], None]
"""Is told of a new remote file: server name, media id, when it came in ms since the epoch."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class CachedFile:
    """A file of another server that is stored here.

    Attributes:
        media: which.
        created_ts: when it was first received here, at the latest (`clock_lags.py`); ms since the epoch.
        media_type: as the other server claimed.
        size_bytes: of the file, without thumbnails.
        foreign_thumbnails: whether some of its thumbnails' rows name an earlier download's file.
    """

    media: StoredMedia
    created_ts: int
    media_type: str | None
    size_bytes: int
    foreign_thumbnails: bool


def adopt_thumbnails(txn: LoggingTransaction, media: Sequence[StoredMedia]) -> None:
    """Have the thumbnails' rows of files that were fetched anew name the file on disk that they belong to.

    When Synapse makes a thumbnail that the earlier download had as well, it leaves that one's `filesystem_id` in the
    row, while the new bytes lie with the new file. Whoever deletes by the row would miss them.

    Args:
        txn: in a transaction; ranges of the unique index.
        media: the files.
    """
    txn.execute_batch(_ADOPT, [(file.file_id, file.server_name, file.media_id, file.file_id) for file in media])


def drop_abandoned_thumbnails(txn: LoggingTransaction, after: Key, limit: int) -> Key | None:
    """Remove rows of thumbnails whose file has no row.

    Args:
        txn: of `Database.run`.
        after: behind which to look.
        limit: rows to look at.

    Returns:
        `after` of the next page; None when this was the last.
    """
    txn.execute(_THUMBNAILS_PAGE_END, (*after, limit - 1))
    end = txn.fetchone()
    txn.execute(_ABANDONED, (*after, limit))
    txn.execute_batch(_DROP_ABANDONED, txn.fetchall())
    return None if end is None else (end[0], end[1])


def watch_arrivals(api: ModuleApi, note: NoteArrival) -> None:
    """Have somebody told of every file of another server once its row is written.

    Others wrap the same method, and one of them writes some rows itself (`media_holding.hold_new_remote_media`). Ours
    has to be the outermost, whichever module is loaded first: so it is put there after all modules are.

    Args:
        api: of a process with a media repository.
        note: must not raise.
    """
    api.delayed_background_call(0, _wrap_storing, api, note, desc="synapse_bum_watch_arrivals")


def _wrap_storing(api: ModuleApi, note: NoteArrival) -> None:
    store = api._hs.get_datastores().main
    store_as_ever = store.store_cached_remote_media

    async def store_cached_remote_media(  # noqa: PLR0917 - Synapse's signature
        origin: str,
        media_id: str,
        media_type: str,
        media_length: int,
        time_now_ms: int,
        upload_name: str | None,
        filesystem_id: str,
        sha256: str | None,
    ) -> None:
        await store_as_ever(origin, media_id, media_type, media_length, time_now_ms, upload_name, filesystem_id, sha256)
        note(origin, media_id, time_now_ms)

    store.store_cached_remote_media = store_cached_remote_media  # type: ignore[method-assign]
