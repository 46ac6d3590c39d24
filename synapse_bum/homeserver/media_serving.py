"""Serving files of Synapse's media repository by a resource of our own.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/media/_base.py`, `synapse/media/media_repository.py`,
`synapse/rest/client/media.py`.
"""

import contextlib
from typing import IO, TYPE_CHECKING, Any, cast

from synapse.http.server import set_corp_headers, set_cors_headers
from synapse.media._base import ThreadedFileSender, add_file_headers
from synapse.module_api import ModuleApi, Requester, SynapseRequest
from synapse.rest.client.media import ThumbnailResource

if TYPE_CHECKING:
    from typing import BinaryIO

FETCH_TIMEOUT_MS = 20_000
"""How long another server may take until a file that is still being uploaded there is complete (Synapse's default)."""


def exchanges_media_with(api: ModuleApi, server_name: str) -> bool:
    """Whether files of this server may be served here, by the federation allowlist and `prevent_media_downloads_from`.

    Synapse asks the same before it serves a remote file, from its cache too.
    """
    if server_name == api.server_name:
        return True
    repository = api._hs.get_media_repository()
    allowed = repository.federation_domain_whitelist
    if allowed is not None and server_name not in allowed:
        return False
    return server_name not in repository.prevent_media_downloads_from


async def fetch_remote(api: ModuleApi, client_ip: str, server_name: str, media_id: str) -> None:
    """Have Synapse fetch a remote file that it does not have, through the spam check, as for a client's download.

    Args:
        api: of a process with a media repository.
        client_ip: who asks, for Synapse's rate limit.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.

    Raises:
        SynapseError: 404 when it is not there or was not let in, 429, or what else Synapse says.
    """
    await api._hs.get_media_repository().get_remote_media_info(
        server_name,
        media_id,
        FETCH_TIMEOUT_MS,
        client_ip,
        True,  # noqa: FBT003 - the parameter's name differs between versions
        True,  # noqa: FBT003
    )


def mark_accessed(api: ModuleApi, server_name: str, media_id: str) -> None:
    """Tell Synapse that a file was used, as its own download does."""
    origin = None if server_name == api.server_name else server_name
    api._hs.get_media_repository().mark_recently_accessed(origin, media_id)


class _Part:
    """A part of an open file, as `ThreadedFileSender` reads it: in a thread, until it gets nothing."""

    def __init__(self, file: IO[bytes], first: int, length: int) -> None:
        file.seek(first)
        self._file = file
        self._left = length

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._file.close()


async def send_part(
    api: ModuleApi, request: SynapseRequest, file: IO[bytes], *, first: int, length: int, headers: "FileHeaders"
) -> None:
    """Send a file, or a part of it, from a thread, and finish the request.

    Args:
        api: of a process with a media repository.
        request: of the client; its status code has been set.
        file: opened for reading; closed afterwards.
        first: offset in bytes.
        length: bytes to send.
        headers: media type and name.
    """
    media_type, upload_name = headers
    _add_headers(request, media_type, upload_name, length)
    part = _Part(file, first, length)
    with contextlib.closing(part):
        if request.method == b"HEAD" or length == 0:
            request.finish()
            return
        try:
            await ThreadedFileSender(api._hs).beginFileTransfer(cast("BinaryIO", part), request)
        except Exception:
            # Synapse's versions raise different things when the client goes away in the middle.
            if not request._disconnected:
                raise
    if not request._disconnected:
        request.finish()


FileHeaders = tuple[str, str | None]
"""Media type and upload name of a file."""


def _add_headers(request: SynapseRequest, media_type: str, upload_name: str | None, length: int) -> None:
    set_cors_headers(request)
    set_corp_headers(request)
    add_file_headers(request, media_type, length, upload_name)
    request.responseHeaders.removeHeader(b"ETag")
    request.setHeader(b"Cache-Control", b"no-store")
    request.setHeader(b"Content-Security-Policy", b"sandbox; default-src 'none'")
    request.setHeader(b"X-Content-Type-Options", b"nosniff")


class _Authenticated:
    """Stands for Synapse's check of the token, which must not be made twice for one request."""

    async def get_user_by_req(self, request: SynapseRequest, *, allow_guest: bool) -> Requester:
        requester = request.requester
        if not isinstance(requester, Requester) or (requester.is_guest and not allow_guest):
            raise TypeError("the request was not authenticated")
        return requester


async def send_thumbnail(api: ModuleApi, request: SynapseRequest, server_name: str, media_id: str) -> None:
    """Answer as `/_matrix/client/v1/media/thumbnail` does, but so that nobody keeps a copy.

    Args:
        api: of a process with a media repository.
        request: authenticated.
        server_name: where the file was uploaded.
        media_id: as in the mxc URI.

    Raises:
        SynapseError: a parameter of the query is wrong, or there is no thumbnail.
    """
    repository = api._hs.get_media_repository()
    servlet = ThumbnailResource(api._hs, repository, repository.media_storage)
    servlet.auth = _Authenticated()  # type: ignore[assignment]
    set_header = request.setHeader

    def without_caching(name: Any, value: Any) -> None:  # noqa: ANN401 - Twisted takes text and bytes
        lower = name.lower() if isinstance(name, bytes) else name.lower().encode()
        if lower not in {b"cache-control", b"etag"}:
            set_header(name, value)  # type: ignore[no-untyped-call]

    request.setHeader = without_caching  # type: ignore[method-assign]
    set_header(b"Cache-Control", b"no-store")  # type: ignore[no-untyped-call]
    await servlet.on_GET(request, server_name, media_id)
