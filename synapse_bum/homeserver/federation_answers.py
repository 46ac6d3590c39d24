"""What Synapse keeps of other servers' answers: given to nobody once the server is no partner.

Run on Synapse 1.133.0 and 1.163.2: `synapse/handlers/room_list.py` (lists of public rooms, 30 s) and
`synapse/federation/federation_client.py` (rooms of a space, summaries of rooms, 5 min).

The question is asked when an answer is about to be given. So it needs no timer for the end of a partner, and an answer
that was under way while its server was removed is kept, but not given.
"""

from collections.abc import Awaitable, Callable, Container, Iterable
from typing import Any, Final

from synapse.api.errors import FederationDeniedError
from synapse.module_api import ModuleApi

_MAX_REMEMBERED: Final = 1_000


def ask_before_answers(api: ModuleApi, outgoing: Container[str], lets_in: Callable[[str], bool]) -> None:
    """Has every answer that is kept checked before it is given.

    Args:
        api: of the homeserver, running.
        outgoing: servers to which something may go out; notes who is denied.
        lets_in: whether a server is a partner; not while it is being removed.
    """
    _guard_public_rooms(api, lambda server: server in outgoing and lets_in(server))
    _guard_summaries(api, lets_in)


def _guard_public_rooms(api: ModuleApi, may_ask: Callable[[str], bool]) -> None:
    handler: Any = api._hs.get_room_list_handler()
    listed: Callable[..., Awaitable[object]] = handler.get_remote_public_room_list

    async def ask_and_list(server_name: str, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - Synapse's signature
        if not may_ask(server_name):
            raise FederationDeniedError(server_name)
        return await listed(server_name, *args, **kwargs)

    handler.get_remote_public_room_list = ask_and_list


def _guard_summaries(api: ModuleApi, may_ask: Callable[[str], bool]) -> None:
    client: Any = api._hs.get_federation_client()
    summarise: Callable[..., Awaitable[object]] = client.get_room_hierarchy
    cache: Any = client._get_room_hierarchy_cache
    # Of an answer, who can have given it; what is kept of someone unknown is not given.
    origins: dict[tuple[str, bool], set[str]] = {}

    async def ask_and_summarise(destinations: Iterable[str], room_id: str, suggested_only: bool) -> object:  # noqa: FBT001 - Synapse's signature
        key, asked = (room_id, suggested_only), list(destinations)
        known = origins.get(key)
        if known is None or not all(may_ask(server) for server in known):
            cache.pop(key, None)
        is_kept, allowed = key in cache, {server for server in asked if may_ask(server)}
        answer = await summarise(asked, room_id, suggested_only)
        if not is_kept:
            # Nothing else has run since Synapse kept it.
            if len(origins) >= _MAX_REMEMBERED:
                origins.clear()
            origins[key] = allowed
        return answer

    client.get_room_hierarchy = ask_and_summarise
