"""Storing a file so that nobody gets it from its first moment, and giving it free later.

A held row has no hash: Synapse quarantines uploads whose hash is that of any quarantined row, and a held file is no
reason for that.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/storage/databases/main/media_repository.py`.
"""

from collections.abc import Callable
from typing import Any, Final

from synapse.module_api import ModuleApi
from synapse.storage.database import LoggingTransaction

from synapse_bum.homeserver.media import StoredMedia, row_of

SYSTEM: Final = "system"
"""What Synapse writes as `quarantined_by` of an upload that is quarantined at birth."""


async def is_hash_quarantined(api: ModuleApi, sha256: str) -> bool:
    """Whether Synapse itself quarantines uploads with this hash, because of a row that somebody has quarantined.

    Args:
        api: of the homeserver.
        sha256: hexadecimal.
    """
    return await api._hs.get_datastores().main.get_is_hash_quarantined(sha256)


def hold_row(txn: LoggingTransaction, media: StoredMedia, marker: str) -> None:
    """Put our mark in the place of "system"; a mark of anybody else stays."""
    table, where, key = row_of(media)
    txn.execute(
        f"UPDATE {table} SET quarantined_by = ?, sha256 = NULL WHERE {where} AND quarantined_by = ?",  # noqa: S608
        (marker, *key, SYSTEM),
    )


def end_hold(txn: LoggingTransaction, media: StoredMedia, marker: str, sha256: str, new: str | None) -> bool:
    """Take a held row's mark away, or put another in its place, by compare-and-set.

    Args:
        txn: a transaction.
        media: the row.
        marker: as given to `hold_row`; a row that it has not reached yet is "system".
        sha256: of the file, hexadecimal.
        new: the new `quarantined_by`; None to serve the file.

    Returns:
        Whether the row was held.
    """
    table, where, key = row_of(media)
    txn.execute(
        f"UPDATE {table} SET quarantined_by = ?, sha256 = ? WHERE {where} AND quarantined_by IN (?, ?)",  # noqa: S608
        (new, sha256, *key, marker, SYSTEM),
    )
    return txn.rowcount == 1


def hold_arrival(txn: LoggingTransaction, server_name: str, media_id: str, hidden_by: str, marker: str) -> None:
    """Hold a remote file whose row is hidden while it is scanned (see `media.hide_arrival`)."""
    txn.execute(
        "UPDATE remote_media_cache SET quarantined_by = ? WHERE media_origin = ? AND media_id = ?"
        " AND quarantined_by = ?",
        (marker, server_name, media_id, hidden_by),
    )


def hold_new_remote_media(api: ModuleApi, wanted: Callable[[str, str], bool], marker: str) -> None:
    """Have rows of remote files written as held, on versions of Synapse that write them after the spam check.

    Synapse's own method knows no quarantine, and a second transaction after it would leave a moment in which another
    process serves the file. So the row is written here, with the same columns.

    Args:
        api: of a process with a media repository.
        wanted: gets server name and media id; says whether to hold the file.
        marker: written as `quarantined_by`.
    """
    store = api._hs.get_datastores().main
    store_as_ever = store.store_cached_remote_media
    authenticated = api._hs.config.media.enable_authenticated_media

    def insert(txn: LoggingTransaction, values: dict[str, Any]) -> None:
        store.db_pool.simple_insert_txn(txn, "remote_media_cache", values)

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
        if not wanted(origin, media_id):
            await store_as_ever(
                origin, media_id, media_type, media_length, time_now_ms, upload_name, filesystem_id, sha256
            )
            return
        values = {
            "media_origin": origin,
            "media_id": media_id,
            "media_type": media_type,
            "media_length": media_length,
            "created_ts": time_now_ms,
            "upload_name": upload_name,
            "filesystem_id": filesystem_id,
            "last_access_ts": time_now_ms,
            "authenticated": authenticated,
            "sha256": None,
            "quarantined_by": marker,
        }
        await store.db_pool.runInteraction("synapse_bum_store_held_media", insert, values)

    store.store_cached_remote_media = store_cached_remote_media  # type: ignore[method-assign]
