"""Learning that Synapse itself is about to delete files: by its admin API, which the portal uses too, or by age.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/media_repository.py` (`delete_remote_media`, and
`delete_url_cache_media`, which also deletes uploads), `synapse/media/media_repository.py`, which calls them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias

from synapse.module_api import LoggingTransaction, ModuleApi

Told: TypeAlias = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]
"""Gets server names, empty for this one, and media ids. They are deleted once this returns, and not when it raises."""

# By the unique index on `media_id`.
_IS_UPLOAD: Final = "SELECT 1 FROM local_media_repository WHERE media_id = ? AND url_cache IS NULL"


def watch_deletions(api: ModuleApi, told: Told) -> None:
    """Has somebody told before files are deleted by this process.

    Args:
        api: of a process with a media repository.
        told: is told.
    """
    store = api._hs.get_datastores().main
    delete_remote, delete_local = store.delete_remote_media, store.delete_url_cache_media

    async def delete_remote_media(media_origin: str, media_id: str) -> None:
        await told([(media_origin, media_id)])
        await delete_remote(media_origin, media_id)

    async def delete_url_cache_media(media_ids: Any) -> None:  # noqa: ANN401 - Synapse's type changed
        names = list(media_ids)
        await told([("", media_id) for media_id in names])
        await delete_local(names)

    store.delete_remote_media = delete_remote_media  # type: ignore[method-assign]
    store.delete_url_cache_media = delete_url_cache_media  # type: ignore[method-assign]


def is_upload(txn: LoggingTransaction, media_id: str) -> bool:
    """Whether somebody has uploaded a file here; otherwise it belongs to a URL preview, or is gone."""
    txn.execute(_IS_UPLOAD, (media_id,))
    return txn.fetchone() is not None
