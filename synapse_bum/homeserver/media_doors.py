"""Whether Synapse still serves a stored file: each way to it is asked.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/media_repository.py`, `synapse/media/thumbnailer.py`,
`synapse/rest/client/media.py`, `synapse/rest/media/`, `synapse/federation/transport/server/federation.py`.

Asked are the methods of Synapse's media repository that its endpoints call, with the arguments that these pass: six for
a local file (download and thumbnail of the client API v1, of the legacy API, whose r0, v1 and v3 are one endpoint, and
of the federation API), four for a remote one, which other servers don't get from us. Not asked are the endpoints
themselves, whose tokens, signatures and rate limits only refuse more, an administrator's explicit bypass, and whatever
stands in front of this server.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NoReturn

from synapse.api.errors import SynapseError
from synapse.media.thumbnailer import ThumbnailProvider
from synapse.module_api import ModuleApi

from synapse_bum.homeserver.media import StoredMedia

_CLOSED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN})
"""404 is the quarantine's answer; 403 that to a server outside of `federation_domain_whitelist`."""

_THUMBNAIL: Final = (320, 240, "scale", "image/png")
_NO_WAITING_MS: Final = 0
_LOOPBACK: Final = "127.0.0.1"

_Doors = Mapping[str, Callable[[], Awaitable[object]]]


class _AnsweredError(Exception):
    """Synapse has begun to answer, with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Question:
    """Stands for a request; it ends with the first word of the answer, before anything is read or written."""

    path = b"/"
    _disconnected = False

    def getHeader(self, name: str) -> str | None:  # noqa: N802 - Twisted's name
        """As a client that has the file already: Synapse says 304 where it would serve it, before it opens it."""
        return "1" if name.lower() == "if-none-match" else None

    def setResponseCode(self, status: int) -> NoReturn:  # noqa: N802 - Twisted's name
        """The answer."""
        raise _AnsweredError(status)

    def setHeader(self, _name: object, _value: object) -> NoReturn:  # noqa: N802 - Twisted's name
        """An answer without a status of its own is 200."""
        raise _AnsweredError(HTTPStatus.OK)


async def open_doors(api: ModuleApi, stored: StoredMedia) -> tuple[str, ...]:
    """Ask each way to a file whether it answers 404.

    No request is sent to another server: a remote file is only asked for while its row answers for it.

    Args:
        api: of a process with a media repository.
        stored: the file.

    Returns:
        The ways that would serve it, or that could not be asked; a way that does not say no counts as open.
    """
    doors = _local_doors(api, stored) if stored.local else _remote_doors(api, stored)
    if not stored.local:
        row = await api._hs.get_datastores().main.get_cached_remote_media(stored.server_name, stored.media_id)
        if row is None:
            return ()
        if row.quarantined_by is None:
            return tuple(doors)
    return tuple([name for name, ask in doors.items() if not await _is_closed(ask)])


async def _is_closed(ask: Callable[[], Awaitable[object]]) -> bool:
    try:
        await ask()
    except _AnsweredError as answered:
        return answered.status in _CLOSED
    except SynapseError as error:
        return error.code in _CLOSED
    except Exception:  # noqa: BLE001 - a way that can't be asked is not known to be closed
        return False
    return False


def _local_doors(api: ModuleApi, stored: StoredMedia) -> _Doors:
    repository: Any = api._hs.get_media_repository()
    provider: Any = ThumbnailProvider(api._hs, repository, repository.media_storage)
    dynamic = api._hs.config.media.dynamic_thumbnails
    thumbnail = provider.select_or_generate_local_thumbnail if dynamic else provider.respond_local_thumbnail
    file = stored.media_id

    def ask_download(*, known_user: bool = True, federation: bool = False) -> Awaitable[object]:
        asked: Awaitable[object] = repository.get_local_media(
            _Question(), file, None, _NO_WAITING_MS, allow_authenticated=known_user, federation=federation
        )
        return asked

    def ask_thumbnail(*, known_user: bool = True, federation: bool = False) -> Awaitable[object]:
        asked: Awaitable[object] = thumbnail(
            _Question(), file, *_THUMBNAIL, _NO_WAITING_MS, federation, allow_authenticated=known_user
        )
        return asked

    return {
        "client download": ask_download,
        "client thumbnail": ask_thumbnail,
        "legacy download": partial(ask_download, known_user=False),
        "legacy thumbnail": partial(ask_thumbnail, known_user=False),
        "federation download": partial(ask_download, federation=True),
        "federation thumbnail": partial(ask_thumbnail, federation=True),
    }


def _remote_doors(api: ModuleApi, stored: StoredMedia) -> _Doors:
    repository: Any = api._hs.get_media_repository()
    provider: Any = ThumbnailProvider(api._hs, repository, repository.media_storage)
    dynamic = api._hs.config.media.dynamic_thumbnails
    thumbnail = provider.select_or_generate_remote_thumbnail if dynamic else provider.respond_remote_thumbnail
    file = (stored.server_name, stored.media_id)

    def ask_download(*, known_user: bool = True) -> Awaitable[object]:
        asked: Awaitable[object] = repository.get_remote_media(
            _Question(), *file, None, _NO_WAITING_MS, _LOOPBACK, known_user, allow_authenticated=known_user
        )
        return asked

    def ask_thumbnail(*, known_user: bool = True) -> Awaitable[object]:
        asked: Awaitable[object] = thumbnail(
            _Question(), *file, *_THUMBNAIL, _NO_WAITING_MS, _LOOPBACK, known_user, allow_authenticated=known_user
        )
        return asked

    return {
        "client download": ask_download,
        "client thumbnail": ask_thumbnail,
        "legacy download": partial(ask_download, known_user=False),
        "legacy thumbnail": partial(ask_thumbnail, known_user=False),
    }
