"""Files of other servers in a homeserver of the test's own process: the fetch itself is replaced."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import BinaryIO
from unittest.mock import patch

from synapse.server import HomeServer


def download_of(
    content: bytes, fetched: list[str], content_type: str = "text/plain"
) -> Callable[..., Awaitable[object]]:
    """Stands for the request to the other server.

    Args:
        content: what it sends.
        fetched: gets the media id of each request.
        content_type: what it claims that this is.
    """

    async def download(
        _server: str, media: str, output_stream: BinaryIO, *_: object, **__: object
    ) -> tuple[int, dict[bytes, list[bytes]], bytes]:
        fetched.append(media)
        output_stream.write(content)
        return len(content), {b"Content-Type": [content_type.encode()]}, b"{}"

    return download


@contextlib.contextmanager
def elsewhere(
    homeserver: HomeServer, content: bytes, fetched: list[str], content_type: str = "text/plain"
) -> Iterator[None]:
    """While entered, every file of another server has this content."""
    client = homeserver.get_federation_client()
    assert homeserver.get_media_repository().client is client
    with patch.object(client, "federation_download_media", download_of(content, fetched, content_type)):
        yield
