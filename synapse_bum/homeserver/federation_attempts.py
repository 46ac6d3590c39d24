"""Asking the list at every attempt of a request to another server, and not only before the first one.

Run on Synapse 1.133.0 and 1.163.2: `synapse/http/matrixfederationclient.py`, `synapse/util/retryutils.py`.

Synapse asks once and then tries for up to a quarter of an hour. So the client's agent, which every attempt needs, asks
again. What it raises is no `Exception`: Synapse takes those for a network that is down, tries again, and would keep off
the server for a while after it is a partner again.
"""

from collections.abc import Awaitable, Callable, Container
from typing import Any, Final
from urllib.parse import urlsplit

from synapse.api.errors import FederationDeniedError
from synapse.module_api import ModuleApi
from twisted.internet.defer import Deferred

_SCHEME: Final = b"matrix-federation"
_SEND: Final = "/_matrix/federation/v1/send/"


class _NotAllowedAnyMore(BaseException):
    """Ends a request whose server was a partner when it began."""


class _AskingAgent:
    """Twisted's `IAgent`: the client's own, which is used only for servers that are allowed at this moment."""

    def __init__(self, agent: Any, may_leave: Callable[[str, str], bool]) -> None:  # noqa: ANN401 - an IAgent
        self._agent = agent
        self._may_leave = may_leave

    def request(self, method: bytes, uri: bytes, headers: object = None, bodyProducer: object = None) -> Deferred[Any]:  # noqa: N803 - IAgent's name
        """As `IAgent.request`.

        Raises:
            _NotAllowedAnyMore: the server is not allowed.
        """
        parts = urlsplit(uri)
        # Where a server sends us for a file, for example, is no server that speaks Matrix.
        if parts.scheme == _SCHEME and not self._may_leave(parts.netloc.decode("ascii"), parts.path.decode("ascii")):
            raise _NotAllowedAnyMore
        sent: Deferred[Any] = self._agent.request(method, uri, headers=headers, bodyProducer=bodyProducer)
        return sent


def ask_at_each_attempt(api: ModuleApi, outgoing: Container[str], lets_in: Callable[[str], bool]) -> None:
    """Puts the question before each request and each attempt.

    Args:
        api: of the homeserver, running.
        outgoing: servers to which something may go out.
        lets_in: whether a server is a partner; to one that is being removed only events and messages go out.
    """
    client: Any = api._hs.get_federation_http_client()
    send_request: Callable[..., Awaitable[object]] = client._send_request

    def may_leave(server: str, path: str) -> bool:
        return server in outgoing and (path.startswith(_SEND) or lets_in(server))

    async def ask_and_send(request: Any, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - Synapse's signature
        # Refused before Synapse notes a failure: the next kick has to leave, to the same server.
        if not may_leave(request.destination, request.path):
            raise FederationDeniedError(request.destination)
        try:
            return await send_request(request, *args, **kwargs)
        except _NotAllowedAnyMore:
            raise FederationDeniedError(request.destination) from None

    client._send_request = ask_and_send
    client.agent = _AskingAgent(client.agent, may_leave)


def attempt_is_refused(api: ModuleApi, server: str) -> bool:
    """Asks the agent, as an attempt does, about a server that is not allowed.

    Nothing is sent if it refuses; if it does not, what it began is given up.
    """
    agent: Any = api._hs.get_federation_http_client().agent
    try:
        attempt = agent.request(b"GET", b"matrix-federation://" + server.encode("ascii") + b"/")
    except _NotAllowedAnyMore:
        return True
    attempt.addErrback(lambda _: None)
    attempt.cancel()
    return False
