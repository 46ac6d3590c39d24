"""Every place where Synapse reads `federation_domain_whitelist`: putting ours there, and asking each place.

Run on Synapse 1.133.0 and 1.163.2: `synapse/config/federation.py`, `synapse/http/matrixfederationclient.py`,
`synapse/federation/sender/`, `synapse/federation/transport/server/_base.py`, `synapse/media/media_repository.py`,
`synapse/rest/key/v2/remote_key_resource.py`, `synapse/rest/synapse/client/federation_whitelist.py`.

The federation client and the sender read the configuration at each use. The others keep what the configuration holds
when they are built: with the listeners, after all modules; only the media repository may be built earlier, with OIDC or
by another module. So the configuration holds the list for what comes in until the listeners are built, and the one for
what goes out from then on.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from synapse.api.errors import FederationDeniedError
from synapse.federation.transport.server._base import Authenticator
from synapse.http.matrixfederationclient import MatrixFederationHttpClient, MatrixFederationRequest
from synapse.module_api import ModuleApi
from synapse.rest.key.v2.remote_key_resource import RemoteKey
from twisted.web.http_headers import Headers

from synapse_bum.homeserver.federation_answers import ask_before_answers
from synapse_bum.homeserver.federation_attempts import ask_at_each_attempt, attempt_is_refused
from synapse_bum.homeserver.federation_sending import keep_sending_to_others
from synapse_bum.homeserver.media import can_load_media

_NO_WAITING_MS: Final = 0
_LOOPBACK: Final = "127.0.0.1"
_FILE: Final = "probe"

Whitelist: TypeAlias = dict[str, bool]
Doors: TypeAlias = Mapping[str, Callable[[], Awaitable[bool]]]


def denies_all(api: ModuleApi) -> bool:
    """Whether the configuration says `federation_domain_whitelist: []`; without the line everybody is allowed."""
    configured: object = api._hs.config.federation.federation_domain_whitelist
    return type(configured) is dict and not configured


def install(api: ModuleApi, incoming: Whitelist) -> None:
    """Puts our list where listeners and a media repository that is there already read it.

    Args:
        api: in a module's `__init__`: the listeners are not built yet.
        incoming: for what comes in, cached files included.
    """
    api._hs.config.federation.federation_domain_whitelist = incoming
    repository: Any = api._hs.__dict__.get("_media_repository")
    if repository is not None:
        repository.federation_domain_whitelist = incoming


def install_outgoing(
    api: ModuleApi, outgoing: Whitelist, lets_in: Callable[[str], bool], lets_out: Callable[[str], bool]
) -> None:
    """Puts our list where the federation client and sender read it, once the listeners are built.

    Args:
        api: of the homeserver, running.
        outgoing: for what goes out.
        lets_in: whether a server is a partner, without a note of who is none.
        lets_out: whether something may go out to a server: also while it is being removed.
    """
    if can_load_media(api):
        # It may not have been asked for yet; built later it would take the list for what goes out.
        api._hs.get_media_repository()
    api._hs.config.federation.federation_domain_whitelist = outgoing
    ask_at_each_attempt(api, outgoing, lets_in)
    ask_before_answers(api, outgoing, lets_in)
    keep_sending_to_others(api, lets_out)


def incoming_doors(api: ModuleApi, name: str) -> Doors:
    """Every place that asks the list for what comes in, as a question about a server that is not allowed.

    No request is sent: each place refuses before it does anything else.

    Args:
        api: of the homeserver, running, before `install_outgoing`. Places that are built with the listeners are built
            once more, from what the configuration holds since then.
        name: of the server.

    Returns:
        By name of the place: asks, and says whether it refused.
    """
    hs = api._hs

    async def server() -> object:
        request: Any = _SignedBy(name)
        return await Authenticator(hs).authenticate_request(request, None)

    async def keys() -> bool:
        whitelist = RemoteKey(hs).federation_domain_whitelist
        return whitelist is not None and name not in whitelist

    found: dict[str, Callable[[], Awaitable[bool]]] = {
        "federation server": lambda: _refused(server),
        "key server": keys,
    }
    if not can_load_media(api):
        return found
    repository: Any = hs.get_media_repository()

    async def download() -> object:
        question = (object(), name, _FILE, None, _NO_WAITING_MS, _LOOPBACK)
        return await repository.get_remote_media(*question, use_federation_endpoint=True)

    async def information() -> object:
        question = (name, _FILE, _NO_WAITING_MS, _LOOPBACK)
        return await repository.get_remote_media_info(*question, use_federation=True, allow_authenticated=True)

    return found | {
        "media repository, content": lambda: _refused(download),
        "media repository, information": lambda: _refused(information),
    }


def outgoing_doors(api: ModuleApi, name: str) -> Doors:
    """Every place that asks the list for what goes out; as `incoming_doors`, after `install_outgoing`."""
    hs = api._hs

    async def client() -> object:
        request = MatrixFederationRequest(method="GET", destination=name, path="/")
        # As Synapse has it: without our own question before it.
        return await MatrixFederationHttpClient._send_request(hs.get_federation_http_client(), request)

    async def attempt() -> bool:
        return attempt_is_refused(api, name)

    async def sender() -> bool:
        return not hs.config.federation.is_domain_allowed_according_to_federation_whitelist(name)

    return {
        "federation client": lambda: _refused(client),
        "federation client, each attempt": attempt,
        "federation sender": sender,
    }


async def _refused(question: Callable[[], Awaitable[object]]) -> bool:
    try:
        await question()
    except FederationDeniedError:
        return True
    return False


class _SignedBy:
    """Stands for a request with a signature that nobody gets to look at."""

    method = b"GET"
    uri = b"/_matrix/federation/v1/version"

    def __init__(self, origin: str) -> None:
        header = f'X-Matrix origin="{origin}",key="ed25519:probe",sig="probe"'
        self.requestHeaders = Headers({b"Authorization": [header.encode()]})
