"""What taking a file out of Synapse needs: its row, its thumbnails' rows, and where its bytes lie.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/filepath.py`, `synapse/media/media_repository.py`
(`_remove_local_media_from_disk`, `delete_old_remote_media`), `synapse/media/storage_provider.py`,
`synapse/storage/databases/main/media_repository.py`.

All queries go by the unique indexes on `media_id` and `(media_origin, media_id)`: one row each.
"""

from pathlib import Path
from typing import Final

import attr
from synapse.media.storage_provider import FileStorageProviderBackend
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia

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
    """

    file: str
    thumbnail_folder: str
    thumbnails: tuple[str, ...]


def row_of(txn: LoggingTransaction, media: StoredMedia) -> MediaRow | None:
    """The row of a stored file; None when there is none, nothing was uploaded yet, or only a tombstone is left."""
    table, where, key = _place(media)
    txn.execute(
        f"SELECT media_length, created_ts, quarantined_by FROM {table}"  # noqa: S608
        f" WHERE {where} AND media_length IS NOT NULL",
        key,
    )
    row = txn.fetchone()
    if row is None or row[2] == TOMBSTONE_MARKER:
        return None
    thumbnails, of_media, thumbnail_key = _thumbnail_place(media)
    txn.execute(f"SELECT COALESCE(SUM(thumbnail_length), 0) FROM {thumbnails} WHERE {of_media}", thumbnail_key)  # noqa: S608
    summed = txn.fetchone()
    return MediaRow(
        size_bytes=row[0], thumbnail_bytes=int(summed[0]) if summed else 0, created_ts=row[1], quarantined_by=row[2]
    )


def hide(txn: LoggingTransaction, media: StoredMedia) -> bool:
    """Have every door answer 404 for a file from the commit on, whoever had quarantined or protected it.

    The hash goes too: Synapse quarantines uploads whose hash is that of any quarantined row.

    Returns:
        Whether there is such a row with a file.
    """
    table, where, key = _place(media)
    txn.execute(
        f"UPDATE {table} SET quarantined_by = ?, sha256 = NULL WHERE {where}"  # noqa: S608
        " AND media_length IS NOT NULL AND (quarantined_by IS NULL OR quarantined_by <> ?)",
        (HIDDEN_MARKER, *key, TOMBSTONE_MARKER),
    )
    return txn.rowcount == 1


def thumbnails_of(txn: LoggingTransaction, media: StoredMedia) -> frozenset[Thumbnail]:
    """The thumbnails that Synapse knows of a file."""
    table, where, key = _thumbnail_place(media)
    txn.execute(
        f"SELECT thumbnail_width, thumbnail_height, thumbnail_type, thumbnail_method FROM {table} WHERE {where}",  # noqa: S608
        key,
    )
    return frozenset(Thumbnail(*row) for row in txn.fetchall())


def drop_rows(txn: LoggingTransaction, media: StoredMedia) -> None:
    """Remove the rows of a file and of its thumbnails; a remote file that was fetched anew since is not meant."""
    table, where, key = _place(media)
    txn.execute(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608
    _drop_thumbnail_rows(txn, media)
    if media.url_cache:
        txn.execute("DELETE FROM local_media_repository_url_cache WHERE media_id = ?", (media.media_id,))


def leave_tombstone(txn: LoggingTransaction, media: StoredMedia) -> None:
    """Keep the row of a remote file without the file: Synapse answers 404 for it and asks the other server no more."""
    table, where, key = _place(media)
    txn.execute(
        f"UPDATE {table} SET quarantined_by = ?, media_length = 0, sha256 = NULL WHERE {where}",  # noqa: S608
        (TOMBSTONE_MARKER, *key),
    )
    _drop_thumbnail_rows(txn, media)


def _drop_thumbnail_rows(txn: LoggingTransaction, media: StoredMedia) -> None:
    table, where, key = _thumbnail_place(media)
    txn.execute(f"DELETE FROM {table} WHERE {where}", key)  # noqa: S608


def _place(media: StoredMedia) -> tuple[str, str, tuple[str, ...]]:
    if media.local:
        return "local_media_repository", "media_id = ?", (media.media_id,)
    key = (media.server_name, media.media_id, media.file_id)
    return "remote_media_cache", "media_origin = ? AND media_id = ? AND filesystem_id = ?", key


def _thumbnail_place(media: StoredMedia) -> tuple[str, str, tuple[str, ...]]:
    if media.local:
        return "local_media_repository_thumbnails", "media_id = ?", (media.media_id,)
    key = (media.server_name, media.media_id, media.file_id)
    return "remote_media_cache_thumbnails", "media_origin = ? AND media_id = ? AND filesystem_id = ?", key


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


def paths_of(api: ModuleApi, media: StoredMedia, thumbnails: frozenset[Thumbnail]) -> MediaPaths:
    """Where a file and its thumbnails lie, relative to the media store.

    Raises:
        ValueError: the row has a name that no file of Synapse has, for example with a slash in it.
    """
    paths = api._hs.get_media_repository().filepaths
    base = Path(paths.base_path)
    if media.local and media.url_cache:
        file = paths.url_cache_filepath_rel(media.media_id)
        folder = paths.url_cache_thumbnail_directory_rel(media.media_id)
    elif media.local:
        file = paths.local_media_filepath_rel(media.media_id)
        folder = str(Path(paths.local_media_thumbnail_dir(media.media_id)).relative_to(base))
    else:
        file = paths.remote_media_filepath_rel(media.server_name, media.file_id)
        folder = str(Path(paths.remote_media_thumbnail_dir(media.server_name, media.file_id)).relative_to(base))
    names = sorted(name for thumbnail in thumbnails for name in _thumbnail_names(thumbnail, legacy=not media.local))
    return MediaPaths(file, folder, tuple(f"{folder}/{name}" for name in names))


def _thumbnail_names(thumbnail: Thumbnail, *, legacy: bool) -> list[str]:
    """File names of a thumbnail; those of remote files once had no method in them."""
    kind, _, subtype = thumbnail.content_type.partition("/")
    name = f"{thumbnail.width}-{thumbnail.height}-{kind}-{subtype}"
    names = [f"{name}-{thumbnail.method}", *([name] if legacy else [])]
    if any("/" in name for name in names):
        raise ValueError(f"Synapse stores no thumbnail of the type {thumbnail.content_type!r}")
    return names
