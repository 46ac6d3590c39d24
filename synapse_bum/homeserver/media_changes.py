"""Learning that Synapse itself is about to change what is stored: it deletes files, makes thumbnails, fetches files.

What it deletes: by its admin API, by `media_retention`, old URL previews, and the cache of files of other servers. All
of that ends in two methods of its store; thumbnails in two others, and copies of files of other servers in one. Uploads
are not watched: they are found by their time.

Run on Synapse 1.133.0 and 1.163.2: `synapse/storage/databases/main/media_repository.py` (`delete_remote_media`, which
also clears the cache of files of other servers, `delete_url_cache_media`, which also deletes uploads,
`store_local_thumbnail`, `store_remote_media_thumbnail`, `store_cached_remote_media`),
`synapse/media/media_repository.py` and `synapse/media/url_previewer.py`, which call them.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Protocol

from synapse.module_api import ModuleApi

from synapse_bum.homeserver.media import REMOTE_DOWNLOADS
from synapse_bum.homeserver.stored_bytes import LOCAL, Name

_NAMES: Final[dict[str, Callable[..., Collection[Name]]]] = {
    "store_local_thumbnail": lambda media_id, *_, **__: [(LOCAL, media_id)],
    "store_remote_media_thumbnail": lambda origin, media_id, *_, **__: [(origin, media_id)],
    "delete_remote_media": lambda media_origin, media_id: [(media_origin, media_id)],
    "delete_url_cache_media": lambda media_ids: [(LOCAL, media_id) for media_id in media_ids],
}
"""The files that each method of the store is about to change, of its arguments."""


class MediaChanges(Protocol):
    """Is told what is about to happen; must not raise. It happens once this returns, or not at all."""

    async def before_change(self, names: Collection[Name]) -> None:
        """Files are deleted, or a thumbnail of one is stored."""

    async def before_arrival(self, name: Name, created_ts: int) -> None:
        """The row of a copy of another server's file is written, with this time in ms since the epoch."""


def watch_media_changes(api: ModuleApi, changes: MediaChanges) -> None:
    """Have somebody told.

    Others wrap some of these methods, and some write or drop rows themselves (`media_holding.hold_new_remote_media`,
    `media.watch_remote_downloads`). Ours have to be the outermost, whichever module is loaded first: so they are put
    there after all modules are.

    Args:
        api: of a process with a media repository.
        changes: is told.
    """
    api.delayed_background_call(0, _wrap, api, changes, desc="synapse_bum_watch_media_changes")


def _wrap(api: ModuleApi, changes: MediaChanges) -> None:
    store = api._hs.get_datastores().main
    for method, names in _NAMES.items():
        setattr(store, method, _noted(getattr(store, method), names, changes))
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
        await changes.before_arrival((origin, media_id), time_now_ms)
        await store_as_ever(origin, media_id, media_type, media_length, time_now_ms, upload_name, filesystem_id, sha256)

    store.store_cached_remote_media = store_cached_remote_media  # type: ignore[method-assign]
    repository = api._hs.get_media_repository()
    for method in REMOTE_DOWNLOADS:
        setattr(repository, method, _noted(getattr(repository, method), _downloaded, changes))


def _downloaded(server_name: str, media_id: str, *_args: object, **_kwargs: object) -> Collection[Name]:
    return [(server_name, media_id)]


def _noted(
    method: Callable[..., Awaitable[Any]], names: Callable[..., Collection[Name]], changes: MediaChanges
) -> Callable[..., Awaitable[Any]]:
    async def noted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever Synapse's method takes and returns
        await changes.before_change(names(*args, **kwargs))
        return await method(*args, **kwargs)

    return noted
