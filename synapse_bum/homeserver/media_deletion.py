"""What taking a file out of Synapse needs: its row, its thumbnails' rows, and where its bytes lie.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/filepath.py`, `synapse/media/media_repository.py`
(`_remove_local_media_from_disk`, `delete_old_remote_media`), `synapse/media/storage_provider.py`,
`synapse/storage/databases/main/media_repository.py`.

All queries go by the unique indexes on `media_id` and `(media_origin, media_id)`, of many files at once: one search for
each, in one statement for some hundred of them. SQLite does not use its indexes for a list of rows in a WHERE: there a
change is one prepared statement that runs for each file.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attr
from synapse.media.storage_provider import FileStorageProviderBackend
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction
from synapse.storage.engines import PostgresEngine

from synapse_bum.homeserver.media import StoredMedia
from synapse_bum.homeserver.sql_lists import in_chunks, rows_of_marks

HIDDEN_MARKER: Final = "synapse_bum:deleted"
"""`quarantined_by` of a row whose file is being deleted: every process answers 404 for it at once."""

TOMBSTONE_MARKER: Final = "synapse_bum:expired"
"""`quarantined_by` of a remote row that stays without its file, so that the file is never fetched again."""

MEDIA_FOLDERS: Final = (
    "local_content",
    "local_thumbnails",
    "remote_content",
    "remote_thumbnail",
    "url_cache",
    "url_cache_thumbnails",
)
"""The folders that Synapse makes in a media store; a copy of the store has some of them too."""


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MediaRow:
    """What Synapse's row says of a file that is to go.

    Attributes:
        size_bytes: of the file, without thumbnails.
        thumbnail_bytes: of all its thumbnails together.
        created_ts: when it was uploaded, or first fetched from another server; ms since the epoch.
        quarantined_by: who has quarantined it: a user id, "system", a marker of ours, or None.
    """

    size_bytes: int
    thumbnail_bytes: int
    created_ts: int
    quarantined_by: str | None


@attr.s(auto_attribs=True, frozen=True, slots=True)
class Thumbnail:
    """One row of Synapse's thumbnail tables.

    Attributes:
        width: in pixels.
        height: in pixels.
        content_type: for example `image/png`.
        method: `crop` or `scale`.
    """

    width: int
    height: int
    content_type: str
    method: str


@attr.s(auto_attribs=True, frozen=True, slots=True)
class MediaPaths:
    """Where a file lies below the media store, and below every copy of it.

    Attributes:
        file: relative path of the file.
        thumbnail_folder: relative path of the folder that holds its thumbnails and nothing else.
        thumbnails: relative paths of the thumbnails that Synapse has rows of, all inside that folder.
        may_have_more: whether the folder may hold thumbnails that Synapse has no row of, as after a crash. Not so when
            it makes none of this type of file.
    """

    file: str
    thumbnail_folder: str
    thumbnails: tuple[str, ...]
    may_have_more: bool = True


_Key: TypeAlias = tuple[str, ...]


@attr.s(auto_attribs=True, frozen=True, slots=True)
class _Tables:
    """Synapse's tables for one kind of file.

    Attributes:
        media: one row for each file.
        thumbnails: of its thumbnails.
        key: columns that name a file in both. A remote file that was fetched anew has another name on disk.
    """

    media: str
    thumbnails: str
    key: tuple[str, ...]

    @property
    def key_columns(self) -> str:
        """The names of the key, of the table that is called `t`."""
        return ", ".join(f"t.{name}" for name in self.key)


_LOCAL: Final = _Tables("local_media_repository", "local_media_repository_thumbnails", ("media_id",))
_REMOTE: Final = _Tables(
    "remote_media_cache", "remote_media_cache_thumbnails", ("media_origin", "media_id", "filesystem_id")
)
_PREVIEWS: Final = _Tables("local_media_repository_url_cache", "", ("media_id",))


def lock(txn: LoggingTransaction, files: Collection[StoredMedia]) -> None:
    """Wait for others who change these rows, and have them wait until the end of this transaction.

    Always in the same order, so that two who lock many files never wait for each other. SQLite has one lock for all.
    """
    for tables, by_key in _by_tables(files):
        if locking := _locking(txn, tables):
            list(_select(txn, tables, tables.media, by_key, "1", locking))


def _locking(txn: LoggingTransaction, tables: _Tables) -> str:
    """What stands at the end of a SELECT that locks; nothing on SQLite."""
    if not isinstance(txn.database_engine, PostgresEngine):
        return ""
    order = ", ".join(f't.{name} COLLATE "C"' for name in tables.key)
    return f"ORDER BY {order} FOR UPDATE OF t"


def lock_rows(txn: LoggingTransaction, files: Collection[StoredMedia]) -> dict[StoredMedia, MediaRow]:
    """Read the rows of stored files as `rows_of`, and lock them as `lock`."""
    rows: dict[StoredMedia, MediaRow] = {}
    for tables, by_key in _by_tables(files):
        rows.update(_rows(txn, tables, by_key, _locking(txn, tables)))
    return rows


def rows_of(txn: LoggingTransaction, files: Collection[StoredMedia]) -> dict[StoredMedia, MediaRow]:
    """The rows of stored files.

    Those without one are not in the answer, nor those of which nothing was uploaded yet or only a tombstone is left.
    """
    rows: dict[StoredMedia, MediaRow] = {}
    for tables, by_key in _by_tables(files):
        rows.update(_rows(txn, tables, by_key, ""))
    return rows


def _rows(
    txn: LoggingTransaction, tables: _Tables, by_key: Mapping[_Key, StoredMedia], locking: str
) -> dict[StoredMedia, MediaRow]:
    columns = "t.media_length, t.created_ts, t.quarantined_by"
    found = list(_select(txn, tables, tables.media, by_key, columns, f"AND t.media_length IS NOT NULL {locking}"))
    summed = "COALESCE(SUM(t.thumbnail_length), 0)"
    thumbnails = _select(txn, tables, tables.thumbnails, by_key, summed, f"GROUP BY {tables.key_columns}")
    thumbnail_bytes = {media: int(row[0]) for media, row in thumbnails}
    return {
        media: MediaRow(row[0], thumbnail_bytes.get(media, 0), row[1], row[2])
        for media, row in found
        if row[2] != TOMBSTONE_MARKER
    }


def row_of(txn: LoggingTransaction, media: StoredMedia) -> MediaRow | None:
    """The row of one stored file, see `rows_of`."""
    return rows_of(txn, [media]).get(media)


def hide(txn: LoggingTransaction, files: Collection[StoredMedia]) -> None:
    """Have every door answer 404 for files from the commit on, whoever had quarantined or protected them.

    The hash goes too: Synapse quarantines uploads whose hash is that of any quarantined row. Rows that are hidden
    already are not written.
    """
    for tables, by_key in _by_tables(files):
        _change(
            txn,
            f"UPDATE {tables.media} SET quarantined_by = ?, sha256 = NULL",  # noqa: S608
            (HIDDEN_MARKER,),
            tables.key,
            list(by_key),
            " AND media_length IS NOT NULL AND (quarantined_by IS NULL OR (quarantined_by <> ? AND"
            " (quarantined_by <> ? OR sha256 IS NOT NULL)))",
            (TOMBSTONE_MARKER, HIDDEN_MARKER),
        )


def thumbnails_of(txn: LoggingTransaction, files: Collection[StoredMedia]) -> dict[StoredMedia, frozenset[Thumbnail]]:
    """The thumbnails that Synapse knows of files; each file is in the answer."""
    found: dict[StoredMedia, set[Thumbnail]] = {media: set() for media in files}
    columns = "t.thumbnail_width, t.thumbnail_height, t.thumbnail_type, t.thumbnail_method"
    for tables, by_key in _by_tables(files):
        for media, row in _select(txn, tables, tables.thumbnails, by_key, columns):
            found[media].add(Thumbnail(*row))
    return {media: frozenset(thumbnails) for media, thumbnails in found.items()}


def hide_again(txn: LoggingTransaction, files: Collection[StoredMedia]) -> set[StoredMedia]:
    """Hide those of some hidden files that somebody has shown again.

    Returns:
        Those of all of them of which Synapse makes no thumbnails, because of the type that their row names.
    """
    shown: list[StoredMedia] = []
    no_pictures: set[StoredMedia] = set()
    columns = "t.quarantined_by, t.sha256, t.media_type"
    for tables, by_key in _by_tables(files):
        for media, (quarantined_by, sha256, media_type) in _select(txn, tables, tables.media, by_key, columns):
            if quarantined_by != HIDDEN_MARKER or sha256 is not None:
                shown.append(media)
            if media_type is not None and not media_type.startswith("image/"):
                no_pictures.add(media)
    if shown:
        hide(txn, shown)
    return no_pictures


def drop_rows(txn: LoggingTransaction, files: Collection[StoredMedia]) -> None:
    """Remove the rows of files and of their thumbnails; a remote file that was fetched anew since is not meant."""
    for tables, by_key in _by_tables(files):
        _change(txn, f"DELETE FROM {tables.media}", (), tables.key, list(by_key))  # noqa: S608
        _change(txn, f"DELETE FROM {tables.thumbnails}", (), tables.key, list(by_key))  # noqa: S608
    previews = sorted({(media.media_id,) for media in files if media.url_cache})
    _change(txn, f"DELETE FROM {_PREVIEWS.media}", (), _PREVIEWS.key, previews)  # noqa: S608


def leave_tombstones(txn: LoggingTransaction, files: Collection[StoredMedia]) -> None:
    """Keep the rows of remote files without the files: Synapse answers 404 for them and asks no other server."""
    for tables, by_key in _by_tables(files):
        _change(
            txn,
            f"UPDATE {tables.media} SET quarantined_by = ?, media_length = 0, sha256 = NULL",  # noqa: S608
            (TOMBSTONE_MARKER,),
            tables.key,
            list(by_key),
        )
        _change(txn, f"DELETE FROM {tables.thumbnails}", (), tables.key, list(by_key))  # noqa: S608


def _by_tables(files: Collection[StoredMedia]) -> Iterator[tuple[_Tables, dict[_Key, StoredMedia]]]:
    """Files by their tables and keys, in an order that is always the same."""
    local = {(media.media_id,): media for media in files if media.local}
    remote = {(media.server_name, media.media_id, media.file_id): media for media in files if not media.local}
    if local:
        yield _LOCAL, dict(sorted(local.items()))
    if remote:
        yield _REMOTE, dict(sorted(remote.items()))


def _select(
    txn: LoggingTransaction,
    tables: _Tables,
    table: str,
    by_key: Mapping[_Key, StoredMedia],
    columns: str,
    more: str = "",
) -> Iterator[tuple[StoredMedia, tuple[Any, ...]]]:
    """Reads rows of files; the table is called `t`. SQLite keeps the order of a CROSS JOIN: one search for each key."""
    width = len(tables.key)
    wanted = ", ".join(f"k{number}" for number in range(width))
    same = " AND ".join(f"t.{name} = k{number}" for number, name in enumerate(tables.key))
    for chunk in in_chunks(list(by_key), width):
        txn.execute(
            f"WITH wanted ({wanted}) AS (VALUES {rows_of_marks(len(chunk), width)})"  # noqa: S608
            f" SELECT {tables.key_columns}, {columns} FROM wanted CROSS JOIN {table} AS t WHERE {same} {more}",
            [part for key in chunk for part in key],
        )
        for row in txn.fetchall():
            yield by_key[tuple(row[:width])], tuple(row[width:])


def _change(  # noqa: PLR0917 - the parts of one statement
    txn: LoggingTransaction,
    statement: str,
    values: tuple[object, ...],
    key: tuple[str, ...],
    keys: Sequence[_Key],
    more: str = "",
    more_values: tuple[object, ...] = (),
) -> None:
    """Changes rows of files: PostgreSQL all at once, SQLite one after the other."""
    columns, width = ", ".join(key), len(key)
    if not isinstance(txn.database_engine, PostgresEngine):
        where = " AND ".join(f"{name} = ?" for name in key)
        txn.execute_batch(f"{statement} WHERE {where}{more}", [(*values, *parts, *more_values) for parts in keys])
        return
    for chunk in in_chunks(keys, width):
        txn.execute(
            f"{statement} WHERE ({columns}) IN (VALUES {rows_of_marks(len(chunk), width)}){more}",
            (*values, *(part for parts in chunk for part in parts), *more_values),
        )


def media_store(api: ModuleApi) -> Path | None:
    """The folder of the media store; None when this homeserver keeps its files at storage providers only.

    `enable_local_media_storage` came after 1.143; before it the folder was always in use.
    """
    config = api._hs.config.media
    return Path(config.media_store_path) if getattr(config, "enable_local_media_storage", True) else None


def storage_backends(api: ModuleApi) -> list[object]:
    """The storage providers of this homeserver, without Synapse's wrappers around them."""
    providers = api._hs.get_media_repository().media_storage.storage_providers
    return [getattr(provider, "backend", provider) for provider in providers]


def copy_folder(backend: object) -> Path | None:
    """The folder of a storage provider that is Synapse's own copy folder; None for any other provider."""
    return Path(backend.base_directory) if isinstance(backend, FileStorageProviderBackend) else None


def paths_of(
    api: ModuleApi, media: StoredMedia, thumbnails: frozenset[Thumbnail], *, may_have_more: bool = True
) -> MediaPaths:
    """Where a file and its thumbnails lie, relative to the media store. May be called in any thread.

    Args:
        api: of the homeserver; its media repository must have been asked for before.
        media: the file.
        thumbnails: that Synapse has rows of.
        may_have_more: see `MediaPaths`.

    Raises:
        ValueError: the row has a name that no file of Synapse has, for example with a slash in it.
    """
    paths = api._hs.get_media_repository().filepaths
    base = os.path.join(paths.base_path, "")  # noqa: PTH118 - ends with a slash
    if media.local and media.url_cache:
        file = paths.url_cache_filepath_rel(media.media_id)
        folder = paths.url_cache_thumbnail_directory_rel(media.media_id)
    elif media.local:
        file = paths.local_media_filepath_rel(media.media_id)
        folder = paths.local_media_thumbnail_dir(media.media_id).removeprefix(base)
    else:
        file = paths.remote_media_filepath_rel(media.server_name, media.file_id)
        folder = paths.remote_media_thumbnail_dir(media.server_name, media.file_id).removeprefix(base)
    names = sorted(name for thumbnail in thumbnails for name in _thumbnail_names(thumbnail, legacy=not media.local))
    return MediaPaths(file, folder, tuple(f"{folder}/{name}" for name in names), may_have_more)


def _thumbnail_names(thumbnail: Thumbnail, *, legacy: bool) -> list[str]:
    """File names of a thumbnail; those of remote files once had no method in them."""
    kind, _, subtype = thumbnail.content_type.partition("/")
    name = f"{thumbnail.width}-{thumbnail.height}-{kind}-{subtype}"
    names = [f"{name}-{thumbnail.method}", *([name] if legacy else [])]
    if any("/" in name for name in names):
        raise ValueError(f"Synapse stores no thumbnail of the type {thumbnail.content_type!r}")
    return names
