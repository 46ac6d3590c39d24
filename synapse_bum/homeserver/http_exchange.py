"""One HTTP request to another server and its whole answer, whatever its status.

Run on Synapse 1.133.0 and 1.163.2: `synapse/http/client.py`. `SimpleHttpClient` has methods for JSON, which hide status
and body of most answers, and `request`, which returns before the body is there. The one of the module API follows
redirections, with the access token in the header; so we make one of our own that does not.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Final

import attr
from synapse.http.client import SimpleHttpClient, read_body_with_max_size
from synapse.module_api import ModuleApi, make_deferred_yieldable
from twisted.web.http_headers import Headers

from synapse_bum.homeserver.time_limit import within

_MAX_BYTES: Final = 16 * 2**20


@attr.s(auto_attribs=True, frozen=True, slots=True)
class HttpRequest:
    """What is sent.

    Attributes:
        method: for example `GET`.
        url: absolute.
        headers: by name.
        body: None without one.
    """

    method: str
    url: str
    headers: Mapping[str, str] = attr.ib(repr=False)
    body: bytes | None = attr.ib(repr=False)


@attr.s(auto_attribs=True, frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Attributes:
        status: of HTTP.
        content_type: as the server says; empty when it does not.
        disposition: header `Content-Disposition`; empty without one.
        body: at most 16 MiB.
        location: header `Location`; empty without one.
    """

    status: int
    content_type: str
    disposition: str
    body: bytes = attr.ib(repr=False)
    location: str = attr.ib(default="", repr=False)


class HttpExchange:
    """Sends requests with the homeserver's client, which knows the certificates that the system trusts."""

    def __init__(self, api: ModuleApi) -> None:
        """Takes the homeserver."""
        self._api = api
        self._client = SimpleHttpClient(api._hs, treq_args={"allow_redirects": False})

    async def send(self, request: HttpRequest, seconds: float) -> HttpAnswer:
        """Sends a request and waits for the whole answer. Redirections are not followed.

        Args:
            request: what to send.
            seconds: how long it may take altogether.

        Raises:
            OutOfTimeError: it took longer.
            Exception: the network, TLS or HTTP failed, or the answer is too long.
        """
        return await within(self._api, seconds, self._send, request)

    async def _send(self, request: HttpRequest) -> HttpAnswer:
        headers = Headers({name: [value] for name, value in request.headers.items()})
        response = await self._client.request(request.method, request.url, request.body, headers)
        content = BytesIO()
        await make_deferred_yieldable(read_body_with_max_size(response, content, _MAX_BYTES))
        return HttpAnswer(
            response.code,
            _header(response.headers, "Content-Type"),
            _header(response.headers, "Content-Disposition"),
            content.getvalue(),
            _header(response.headers, "Location"),
        )


def _header(headers: Headers, name: str) -> str:
    values = headers.getRawHeaders(name.encode("ascii"))
    return values[0].decode("utf-8", "replace") if values else ""
