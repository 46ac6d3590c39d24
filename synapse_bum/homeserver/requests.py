"""Who sends a request, and on which kind of listener it came in.

Run on Synapse 1.133.0, 1.143.0 and 1.163.2: `synapse/api/auth/`, `synapse/config/server.py`, `synapse/http/site.py`.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from synapse.config.server import ListenerConfig, TCPListenerConfig, UnixListenerConfig
from synapse.http.server import finish_request, respond_with_json_bytes, set_cors_headers
from synapse.module_api import ModuleApi, Requester, SynapseRequest
from synapse.module_api.errors import Codes, InvalidClientCredentialsError
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

_FOR_CLIENTS: Final = frozenset({"client", "media"})


async def requester_of(api: ModuleApi, request: SynapseRequest) -> Requester:
    """Authenticates a request by its access token, under MAS as well.

    Raises:
        SynapseError: 401 M_MISSING_TOKEN, M_UNKNOWN_TOKEN or M_USER_LOCKED; 403 for guests and expired accounts; 503
            when MAS can't be asked.
    """
    try:
        return await api.get_user_by_req(request)
    except UnicodeDecodeError:
        # `Auth.get_access_token_from_request` decodes as ASCII and lets the error through, which would be a 500.
        raise InvalidClientCredentialsError("Unrecognised access token", Codes.UNKNOWN_TOKEN) from None


async def is_server_admin(api: ModuleApi, requester: Requester) -> bool:
    """Whether this request may administer the server: by its token's scope under MAS, by the account otherwise."""
    return await api._hs.get_auth().is_server_admin(requester)


def send_json(request: SynapseRequest, status: int, body: Mapping[str, Any]) -> None:
    """Answer with a short JSON object, encoded here: Synapse's own way takes a thread for that.

    CORS headers and a `Cache-Control` with `no-store` are set as in all answers of Synapse.
    """
    respond_with_json_bytes(request, status, json.dumps(body, separators=(",", ":")).encode(), send_cors=True)


def send_file(request: SynapseRequest, content: bytes, content_type: str, file_name: str) -> None:
    """Answer with a file, to be saved; with the CORS headers and the `Cache-Control` of our other answers.

    Args:
        request: that is answered.
        content: the whole file.
        content_type: its media type.
        file_name: ASCII without quotes.
    """
    request.setResponseCode(HTTPStatus.OK)
    request.setHeader(b"Content-Type", content_type.encode("ascii"))
    request.setHeader(b"Content-Length", b"%d" % len(content))
    request.setHeader(b"Content-Disposition", f'attachment; filename="{file_name}"'.encode("ascii"))
    request.setHeader(b"Cache-Control", b"no-cache, no-store, must-revalidate")
    set_cors_headers(request)
    request.write(content)
    finish_request(request)


def send_whole(
    request: SynapseRequest, status: int, headers: Mapping[str, str], cookies: Sequence[str], content: bytes
) -> None:
    """Answer with exactly these headers: Synapse's own ways for HTML replace the content security policy.

    Args:
        request: that is answered.
        status: of HTTP.
        headers: by name, `Content-Length` included.
        cookies: whole `Set-Cookie` lines.
        content: the body; not sent to HEAD.
    """
    request.setResponseCode(status)
    for name, value in headers.items():
        request.setHeader(name, value)
    for line in cookies:
        request.responseHeaders.addRawHeader("Set-Cookie", line)
    if content and request.method != b"HEAD":
        request.write(content)
    finish_request(request)


def is_for_clients(api: ModuleApi, request: SynapseRequest) -> bool:
    """Whether the listener that the request came in on serves clients, that is has `client` or `media`.

    Synapse serves a module's resources on every HTTP listener, those for metrics, replication and federation included.
    A request only knows the tag of its site; where several listeners share it (all unix sockets are called `unix`),
    the address decides, and what is left undecided must be allowed by each of them.
    """
    config = api._hs.config
    listeners = config.worker.worker_listeners if config.worker.worker_app else config.server.listeners
    tag = request.synapse_site.site_tag
    same_tag = [listener for listener in listeners if listener.http_options and listener.get_site_tag() == tag]
    found = [listener for listener in same_tag if _listens_on(listener, request)] if len(same_tag) > 1 else same_tag
    return bool(found) and all(_serves_clients(listener) for listener in found)


def _listens_on(listener: ListenerConfig, request: SynapseRequest) -> bool:
    address: object = request.getHost()
    if isinstance(listener, UnixListenerConfig):
        return isinstance(address, UNIXAddress) and address.name == listener.path.encode()
    if isinstance(listener, TCPListenerConfig):
        return isinstance(address, (IPv4Address, IPv6Address)) and address.port == listener.port
    return False


def _serves_clients(listener: ListenerConfig) -> bool:
    options = listener.http_options
    return options is not None and any(_FOR_CLIENTS.intersection(resource.names) for resource in options.resources)
