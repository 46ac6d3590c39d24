"""Synapse's media repository: who asks, what is stored, and how to keep something out.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/media_repository.py`, `synapse/media/media_storage.py`,
`synapse/storage/databases/main/media_repository.py`.
"""

import contextlib
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import attr
from synapse.api.errors import NotFoundError
from synapse.logging.context import current_context
from synapse.media._base import FileInfo
from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

REMOTE_DOWNLOADS = ("_download_remote_file", "_federation_download_remote_file")
"""The two methods of `MediaRepository` that fetch a file from another server, legacy and authenticated."""

OUR_MARKS = "synapse_bum:"
"""What all our values of `quarantined_by` begin with."""

_remote_media: ContextVar[tuple[str, str] | None] = ContextVar("synapse_bum_remote_media", default=None)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class StoredMedia:
    """One row of Synapse's media tables.

    Attributes:
        server_name: where the file was uploaded; our own name for local media.
        media_id: as in the mxc URI.
        file_id: name of the file on disk (`filesystem_id` for remote media, else the media id).
        local: whether it was uploaded here.
        url_cache: whether it belongs to a URL preview.
        uploader: user id; None for remote media.
    """

    server_name: str
    media_id: str
    file_id: str
    local: bool
    url_cache: bool = False
    uploader: str | None = None


def can_load_media(api: ModuleApi) -> bool:
    """Whether this process runs the media repository and so has the media volume."""
    return bool(api._hs.config.media.can_load_media_repo)


def max_upload_bytes(api: ModuleApi) -> int:
    """Synapse's `max_upload_size`; it bounds uploads and remote downloads."""
    return int(api._hs.config.media.max_upload_size)


def current_requester() -> str | None:
    """Who sent the request that is being served: the uploader of an upload, whoever asked for a remote file.

    Returns:
        A user id, the name of a server for federation requests, or None outside of a request.
    """
    request = current_context().request
    return request.requester if request is not None else None


def current_request_id() -> str | None:
    """Which request is being served; None outside of one."""
    request = current_context().request
    return request.request_id if request is not None else None


def current_remote_media() -> tuple[str, str] | None:
    """Server name and media id of the remote file that is being fetched here (see `watch_remote_downloads`)."""
    return _remote_media.get()


Ask = Callable[[str, str], Awaitable[bool]]
"""A question about a file: gets server name and media id."""


def watch_remote_downloads(api: ModuleApi, refuse: Ask, withhold: Ask) -> None:
    """Learn which remote file is being stored, and refuse known ones before they are fetched.

    The spam check callback only gets a random file id for remote files, and a file that it rejects leaves no row:
    Synapse would fetch and reject it again for every request.

    Args:
        api: of a process with a media repository.
        refuse: asked before the file is fetched; when it says True, the client gets 404 M_NOT_FOUND.
        withhold: asked when the file is stored; when it says True, the client gets 404 M_NOT_FOUND all the same.
    """
    repository = api._hs.get_media_repository()
    for name in REMOTE_DOWNLOADS:
        setattr(repository, name, _watched(api, getattr(repository, name), refuse, withhold))


def _drop_stale_row(txn: LoggingTransaction, server_name: str, media_id: str) -> None:
    txn.execute(
        "DELETE FROM remote_media_cache WHERE media_origin = ? AND media_id = ? AND quarantined_by IS NULL",
        (server_name, media_id),
    )


def _watched(
    api: ModuleApi, download: Callable[..., Awaitable[Any]], refuse: Ask, withhold: Ask
) -> Callable[..., Awaitable[Any]]:
    async def watched(server_name: str, media_id: str, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - Synapse's type
        if await refuse(server_name, media_id):
            raise NotFoundError
        # Synapse only fetches what it found nowhere. A row that is left from an earlier try would win over the new one,
        # and answer 404 for ever.
        await api.run_db_interaction("synapse_bum_drop_stale_row", _drop_stale_row, server_name, media_id)
        token = _remote_media.set((server_name, media_id))
        try:
            downloaded = await download(server_name, media_id, *args, **kwargs)
        finally:
            _remote_media.reset(token)
        if await withhold(server_name, media_id):
            raise NotFoundError
        return downloaded

    return watched


@contextlib.asynccontextmanager
async def stored_file(api: ModuleApi, media: StoredMedia) -> AsyncIterator[str]:
    """The path of a stored file, fetched from a storage provider when it is not on disk.

    Raises:
        FileNotFoundError: it is nowhere.
    """
    storage = api._hs.get_media_repository().media_storage
    info = FileInfo(None if media.local else media.server_name, media.file_id, url_cache=media.url_cache)
    found: Any = storage.ensure_media_is_in_local_cache(info)
    try:
        # Up to 1.14x an awaitable path, later a context manager that removes what it had to fetch into a temporary
        # file.
        if hasattr(found, "__aenter__"):
            async with found as path:
                yield path
        else:
            yield await found
    except NotFoundError:
        raise FileNotFoundError(
            errno.ENOENT, "it is neither on disk nor at a storage provider", media.file_id
        ) from None


def quarantine_new_uploads(api: ModuleApi, wanted: Callable[[str, str | None], bool]) -> None:
    """Have uploads quarantined from their first moment.

    After the spam check and before it writes the row of an upload, Synapse asks its store whether the hash is
    quarantined, and writes the row accordingly. Synapse itself says no until its background update
    `remote_media_cache_sha256_idx` is done, minutes after the first start of a server; our answer does not depend on
    that.

    Args:
        api: of a process with a media repository.
        wanted: gets the sha256 of an upload, hexadecimal, and the id of its request; says whether to quarantine it.
    """
    store = api._hs.get_datastores().main
    ask_synapse = store.get_is_hash_quarantined

    async def get_is_hash_quarantined(sha256: str) -> bool:
        return wanted(sha256, current_request_id()) or await ask_synapse(sha256)

    store.get_is_hash_quarantined = get_is_hash_quarantined  # type: ignore[method-assign]


def mark_quarantined(txn: LoggingTransaction, media: StoredMedia, marker: str) -> bool:
    """Quarantine one stored file by a direct update of its row, which every process sees at once.

    A row that somebody else has quarantined keeps his mark, except for "system", which Synapse writes when the hash
    matched ours.

    Args:
        txn: a transaction.
        media: the row.
        marker: written as `quarantined_by`.

    Returns:
        Whether the row is quarantined now, by whomever; False when it is gone or protected (`safe_from_quarantine`).
    """
    table, where, key = row_of(media)
    unprotected = " AND NOT safe_from_quarantine" if media.local else ""
    txn.execute(
        f"UPDATE {table} SET quarantined_by = ? WHERE {where}{unprotected}"  # noqa: S608
        " AND (quarantined_by IS NULL OR quarantined_by = 'system')",
        (marker, *key),
    )
    return quarantined_by(txn, media) is not None


def clear_quarantine(txn: LoggingTransaction, media: StoredMedia, marker: str) -> bool:
    """Undo `mark_quarantined` by compare-and-set: a mark of anybody else stays.

    A local file whose hash somebody else has quarantined gets the mark that Synapse itself would have given to it.

    Args:
        txn: a transaction; by unique keys and the indexes on sha256.
        media: the row.
        marker: of ours.

    Returns:
        Whether the row had this mark.
    """
    table, where, key = row_of(media)
    txn.execute(
        f"UPDATE {table} SET quarantined_by = NULL WHERE {where} AND quarantined_by = ?",  # noqa: S608
        (*key, marker),
    )
    cleared = txn.rowcount == 1
    if cleared and media.local and _is_hash_quarantined_by_others(txn, media.media_id):
        txn.execute("UPDATE local_media_repository SET quarantined_by = 'system' WHERE media_id = ?", key)
    return cleared


def _is_hash_quarantined_by_others(txn: LoggingTransaction, media_id: str) -> bool:
    txn.execute("SELECT sha256 FROM local_media_repository WHERE media_id = ?", (media_id,))
    row = txn.fetchone()
    for table in ("local_media_repository", "remote_media_cache"):
        txn.execute(
            f"SELECT 1 FROM {table} WHERE sha256 = ? AND quarantined_by <> 'system' AND quarantined_by NOT LIKE ?",  # noqa: S608
            (row and row[0], f"{OUR_MARKS}%"),
        )
        if txn.fetchone() is not None:
            return True
    return False


def quarantined_by(txn: LoggingTransaction, media: StoredMedia) -> str | None:
    """Who has quarantined a stored file; None when nobody has, or there is no such row."""
    table, where, key = row_of(media)
    txn.execute(f"SELECT quarantined_by FROM {table} WHERE {where}", key)  # noqa: S608
    row = txn.fetchone()
    return None if row is None else row[0]


def hide_arrival(
    txn: LoggingTransaction, server_name: str, media_id: str, file_id: str, marker: str
) -> tuple[bool, str | None]:
    """Quarantine the row of a remote file that is still being checked.

    Up to 1.143 Synapse writes that row before the spam check: from then on another process, or this one after a crash,
    would serve the file. Later versions write it afterwards, and there is nothing to hide.

    Args:
        txn: a transaction.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.
        file_id: name of the file on disk: a row of an earlier download is not meant.
        marker: written as `quarantined_by`.

    Returns:
        Whether there was a row to hide, and the hash that it had. The hash is taken away meanwhile: Synapse quarantines
        uploads whose hash is that of any quarantined row.
    """
    txn.execute(
        "SELECT sha256 FROM remote_media_cache WHERE media_origin = ? AND media_id = ? AND filesystem_id = ?"
        " AND quarantined_by IS NULL",
        (server_name, media_id, file_id),
    )
    row = txn.fetchone()
    if row is None:
        return False, None
    txn.execute(
        "UPDATE remote_media_cache SET quarantined_by = ?, sha256 = NULL WHERE media_origin = ? AND media_id = ?",
        (marker, server_name, media_id),
    )
    return True, row[0]


def show_arrival(txn: LoggingTransaction, server_name: str, media_id: str, marker: str, sha256: str | None) -> None:
    """Undo `hide_arrival`: the file may be served."""
    txn.execute(
        "UPDATE remote_media_cache SET quarantined_by = NULL, sha256 = ? WHERE media_origin = ? AND media_id = ?"
        " AND quarantined_by = ?",
        (sha256, server_name, media_id, marker),
    )


def drop_arrival(txn: LoggingTransaction, server_name: str, media_id: str, marker: str) -> None:
    """Remove the hidden row of a file that was not let in; left behind it would answer 404 for ever."""
    txn.execute(
        "DELETE FROM remote_media_cache WHERE media_origin = ? AND media_id = ? AND quarantined_by = ?",
        (server_name, media_id, marker),
    )


def is_stored(txn: LoggingTransaction, media: StoredMedia) -> bool:
    """Whether the row exists and its content was uploaded."""
    table, where, key = row_of(media)
    txn.execute(f"SELECT 1 FROM {table} WHERE {where} AND media_length IS NOT NULL", key)  # noqa: S608
    return txn.fetchone() is not None


def row_of(media: StoredMedia) -> tuple[str, str, tuple[str, ...]]:
    """Table, condition and its parameters that find a row by its unique key."""
    if media.local:
        return "local_media_repository", "media_id = ?", (media.media_id,)
    return "remote_media_cache", "media_origin = ? AND media_id = ?", (media.server_name, media.media_id)


def local_page(
    txn: LoggingTransaction, server_name: str, after: str, created_before_ts: int, limit: int
) -> list[StoredMedia]:
    """Uploaded local media with ids above `after`, ordered by id: a range of the unique index on media_id."""
    txn.execute(
        "SELECT media_id, url_cache IS NOT NULL, user_id FROM local_media_repository"
        " WHERE media_id > ? AND created_ts < ? AND media_length IS NOT NULL AND quarantined_by IS NULL"
        " ORDER BY media_id LIMIT ?",
        (after, created_before_ts, limit),
    )
    return [
        StoredMedia(server_name, media_id, media_id, local=True, url_cache=bool(url_cache), uploader=user_id)
        for media_id, url_cache, user_id in txn.fetchall()
    ]


def remote_page(
    txn: LoggingTransaction, after: tuple[str, str], created_before_ts: int, limit: int
) -> list[StoredMedia]:
    """Cached remote media behind (server, media id): a range of the unique index on (media_origin, media_id)."""
    txn.execute(
        "SELECT media_origin, media_id, filesystem_id FROM remote_media_cache"
        " WHERE (media_origin, media_id) > (?, ?) AND created_ts < ? AND quarantined_by IS NULL"
        " ORDER BY media_origin, media_id LIMIT ?",
        (*after, created_before_ts, limit),
    )
    return [StoredMedia(origin, media_id, file_id, local=False) for origin, media_id, file_id in txn.fetchall()]


def stored_media(txn: LoggingTransaction, server_name: str, media_id: str, own_name: str) -> StoredMedia | None:
    """The row of one file; None when there is none any more."""
    if server_name == own_name:
        txn.execute(
            "SELECT url_cache IS NOT NULL, user_id FROM local_media_repository WHERE media_id = ?",
            (media_id,),
        )
        row = txn.fetchone()
        if row is None:
            return None
        return StoredMedia(own_name, media_id, media_id, local=True, url_cache=bool(row[0]), uploader=row[1])
    txn.execute(
        "SELECT filesystem_id FROM remote_media_cache WHERE media_origin = ? AND media_id = ?",
        (server_name, media_id),
    )
    row = txn.fetchone()
    return None if row is None else StoredMedia(server_name, media_id, row[0], local=False)
