"""The routes below `federation/signed_list`: what is known of the list, and taking over one that waits."""

from typing import Any

import attr
from synapse.module_api import ModuleApi

from synapse_bum.federation.api import Reason
from synapse_bum.federation.config import SignedListConfig
from synapse_bum.federation.list_keeper import ListKeeper
from synapse_bum.federation.live import LiveAllowlist
from synapse_bum.federation.partner import Source
from synapse_bum.federation.signed_list import dropped
from synapse_bum.rest import Access, Answer, ApiRequest, Routes, conflict


class ListApi:
    """The handlers of the routes about the signed list."""

    def __init__(self, api: ModuleApi, config: SignedListConfig, keeper: ListKeeper, live: LiveAllowlist) -> None:
        self._api = api
        self._config = config
        self._keeper = keeper
        self._live = live

    def add_to(self, routes: Routes) -> None:
        """Adds the routes."""
        routes.add("GET", "federation/signed_list", self.show)
        routes.add("POST", "federation/signed_list/refresh", self.refresh, access=Access.OPERATOR)
        routes.add("POST", "federation/signed_list/confirm", self.confirm, access=Access.OPERATOR)

    async def show(self, request: ApiRequest) -> Answer:
        """What is known of the list."""
        del request
        return Answer(await self._state())

    async def refresh(self, request: ApiRequest) -> Answer:
        """Looks for the list now."""
        del request
        await self._keeper.look()
        return Answer(await self._state())

    async def confirm(self, request: ApiRequest) -> Answer:
        """Takes over the list that waits."""
        reason = request.body(Reason).reason
        if not await self._keeper.confirm(request.user_id, reason):
            raise conflict("No list waits for this, or it can't be taken over any more")
        return Answer(await self._state())

    async def _state(self) -> dict[str, Any]:
        state = await self._keeper.state()
        waits = await self._keeper.pending(state)
        await self._live.refresh()
        listed = {one.server_name: one for one in self._live.latest.of(Source.SIGNED_LIST)}
        shown = attr.asdict(state, filter=lambda field, _value: field.name not in {"pending", "pending_since_ts"})
        pending = waits and {
            "version": waits.version,
            "partners": len(waits.partners),
            "dropped": dropped(listed, waits.partners, self._api.get_current_time_msec()),
            "since_ts": state.pending_since_ts,
        }
        return {"source": self._config.source, "partners": len(listed), **shown, "pending": pending}
