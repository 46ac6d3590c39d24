"""Rows of Synapse's media tables in the order of their keys, and the files that there should be for them.

Run on Synapse 1.133.0 and 1.163.2: `synapse/media/filepath.py`, tables `local_media_repository` (unique index on
`media_id`), `remote_media_cache` (on `(media_origin, media_id)`) and their `_thumbnails`, whose unique indexes begin
with the same columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import attr
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.media_deletion import HIDDEN_MARKER, TOMBSTONE_MARKER, Thumbnail, paths_of
from synapse_bum.homeserver.media_layout import Shelf
from synapse_bum.homeserver.sql_lists import in_chunks, rows_of_marks

# Ranges of the unique indexes, as many rows as the limit says.
_LOCAL_PAGE: Final = (
    "SELECT media_id, url_cache IS NOT NULL, media_length, created_ts, quarantined_by FROM local_media_repository"
    " WHERE media_id > ? ORDER BY media_id LIMIT ?"
)
_REMOTE_PAGE: Final = (
    "SELECT media_origin, media_id, filesystem_id, media_length, created_ts, quarantined_by FROM remote_media_cache"
    " WHERE (media_origin, media_id) > (?, ?) ORDER BY media_origin, media_id LIMIT ?"
)
_ANY: Final = (
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM local_media_repository) OR EXISTS (SELECT 1 FROM remote_media_cache)"
)
_THUMBNAIL: Final = "t.thumbnail_width, t.thumbnail_height, t.thumbnail_type, t.thumbnail_method, t.thumbnail_length"
# One search in the unique index for each file: SQLite keeps the order of a CROSS JOIN.
_LOCAL_THUMBNAILS: Final = (
    f"WITH wanted (k0) AS (VALUES {{}}) SELECT t.media_id, {_THUMBNAIL} FROM wanted"  # noqa: S608
    " CROSS JOIN local_media_repository_thumbnails AS t WHERE t.media_id = k0"
)
_REMOTE_THUMBNAILS: Final = (
    f"WITH wanted (k0, k1, k2) AS (VALUES {{}}) SELECT t.media_origin, t.media_id, t.filesystem_id, {_THUMBNAIL}"  # noqa: S608
    " FROM wanted CROSS JOIN remote_media_cache_thumbnails AS t"
    " WHERE t.media_origin = k0 AND t.media_id = k1 AND t.filesystem_id = k2"
)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class FileRow:
    """A row that should have a file; reserved ids and tombstones have none by design.

    Attributes:
        media: which.
        size_bytes: of the file, without thumbnails.
        created_ts: when it came here, or its id was reserved; ms since the epoch.
        is_hidden: whether it is being deleted.
        thumbnails: its thumbnails, with their bytes.
    """

    media: StoredMedia
    size_bytes: int
    created_ts: int
    is_hidden: bool
    thumbnails: Mapping[Thumbnail, int]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class ExpectedFile:
    """A file that there should be.

    Attributes:
        media: whose it is.
        thumbnail: which thumbnail of it; None for the file itself.
        shelf: the folder that it belongs in.
        names: paths relative to the media store, one of which it has; none when no file of Synapse's has such a name.
        size_bytes: as the row says.
    """

    media: StoredMedia
    thumbnail: Thumbnail | None
    shelf: Shelf
    names: tuple[str, ...]
    size_bytes: int


def any_rows(txn: LoggingTransaction) -> bool:
    """Whether Synapse has any row of a file; the first of an index."""
    txn.execute(_ANY)
    return txn.fetchone() is not None


def local_rows(txn: LoggingTransaction, own_name: str, after: str, limit: int) -> tuple[list[FileRow], str | None]:
    """A page of the files that were uploaded here, URL previews among them.

    Args:
        txn: a transaction.
        own_name: our server's name.
        after: media id behind which to read; empty at first.
        limit: rows to read.

    Returns:
        Those that should have a file, and `after` of the next page; None when this was the last.
    """
    txn.execute(_LOCAL_PAGE, (after, limit))
    read = txn.fetchall()
    rows = {
        media_id: (StoredMedia(own_name, media_id, media_id, local=True, url_cache=bool(url_cache)), size, ts, mark)
        for media_id, url_cache, size, ts, mark in read
        if size is not None
    }
    thumbnails = thumbnails_with_bytes(txn, [row[0] for row in rows.values()])
    found = [
        FileRow(media, size, ts, mark == HIDDEN_MARKER, thumbnails[media]) for media, size, ts, mark in rows.values()
    ]
    return found, read[-1][0] if len(read) == limit else None


def remote_rows(
    txn: LoggingTransaction, after: tuple[str, str], limit: int
) -> tuple[list[FileRow], tuple[str, str] | None]:
    """A page of the files of other servers, likewise; `after` is server name and media id."""
    txn.execute(_REMOTE_PAGE, (*after, limit))
    read = txn.fetchall()
    rows = [
        (StoredMedia(origin, media_id, file_id, local=False), size, ts, mark)
        for origin, media_id, file_id, size, ts, mark in read
        if size is not None and mark != TOMBSTONE_MARKER
    ]
    thumbnails = thumbnails_with_bytes(txn, [row[0] for row in rows])
    found = [FileRow(media, size, ts, mark == HIDDEN_MARKER, thumbnails[media]) for media, size, ts, mark in rows]
    return found, (read[-1][0], read[-1][1]) if len(read) == limit else None


def thumbnails_with_bytes(
    txn: LoggingTransaction, files: Sequence[StoredMedia]
) -> dict[StoredMedia, dict[Thumbnail, int]]:
    """The thumbnails of files that Synapse has rows of, with their bytes; each file is in the answer.

    Not those whose row names an earlier download of the same file: where their bytes lie nobody knows.
    """
    found: dict[StoredMedia, dict[Thumbnail, int]] = {media: {} for media in files}
    local: dict[tuple[str, ...], StoredMedia] = {(media.media_id,): media for media in files if media.local}
    remote: dict[tuple[str, ...], StoredMedia] = {
        (media.server_name, media.media_id, media.file_id): media for media in files if not media.local
    }
    _add_thumbnails(txn, _LOCAL_THUMBNAILS, local, 1, found)
    _add_thumbnails(txn, _REMOTE_THUMBNAILS, remote, 3, found)
    return found


def _add_thumbnails(
    txn: LoggingTransaction,
    sql: str,
    by_key: Mapping[tuple[str, ...], StoredMedia],
    width: int,
    found: dict[StoredMedia, dict[Thumbnail, int]],
) -> None:
    for chunk in in_chunks(list(by_key), width):
        txn.execute(sql.format(rows_of_marks(len(chunk), width)), [part for key in chunk for part in key])
        for row in txn.fetchall():
            thumbnail = Thumbnail(*row[width : width + 4])
            found[by_key[tuple(row[:width])]][thumbnail] = row[width + 4] or 0


def expected_files(api: ModuleApi, rows: Sequence[FileRow]) -> list[ExpectedFile]:
    """The files that there should be for some rows. May be called in any thread.

    Args:
        api: of the homeserver; its media repository must have been asked for before.
        rows: of which.
    """
    return [file for row in rows for file in _expected_of(api, row)]


def _expected_of(api: ModuleApi, row: FileRow) -> Iterator[ExpectedFile]:
    shelf, thumbnail_shelf = _shelves(row.media)
    yield ExpectedFile(row.media, None, shelf, _names(api, row.media, None), row.size_bytes)
    for thumbnail, size_bytes in row.thumbnails.items():
        yield ExpectedFile(row.media, thumbnail, thumbnail_shelf, _names(api, row.media, thumbnail), size_bytes)


def _names(api: ModuleApi, media: StoredMedia, thumbnail: Thumbnail | None) -> tuple[str, ...]:
    try:
        if thumbnail is None:
            return (paths_of(api, media, frozenset()).file,)
        return paths_of(api, media, frozenset({thumbnail})).thumbnails
    except ValueError:
        return ()


def _shelves(media: StoredMedia) -> tuple[Shelf, Shelf]:
    if not media.local:
        return Shelf.REMOTE_CONTENT, Shelf.REMOTE_THUMBNAIL
    if media.url_cache:
        return Shelf.URL_CACHE, Shelf.URL_CACHE_THUMBNAILS
    return Shelf.LOCAL_CONTENT, Shelf.LOCAL_THUMBNAILS
